import { SqliteAdapter, SqliteDialect, type DialectAdapter, type SqliteDatabase, type SqliteStatement } from 'kysely'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'

/** Kysely's SQLite dialect on `node:sqlite`. */
export class NodeSqliteDialect extends SqliteDialect {
  constructor (database: DatabaseSync) {
    super({ database: adaptDatabase(database) })
  }

  override createAdapter (): DialectAdapter {
    return new TransactionalSqliteAdapter()
  }
}

/** Kysely takes SQLite to have no transactions around changes of tables, which it has. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl (): boolean { return true }
}

function adaptDatabase (database: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>()
  return {
    close: () => { if (database.isOpen) database.close() },
    prepare: text => {
      const known = statements.get(text)
      if (known !== undefined) return known
      // A transaction that reads first and then wants to write fails if another process wrote in between, without waiting.
      // So it begins as a writer: several instances that start at once migrate one after the other.
      const statement = adaptStatement(database.prepare(text === 'begin' ? 'begin immediate' : text))
      if (statements.size >= 100) statements.clear()
      statements.set(text, statement)
      return statement
    }
  }
}

function adaptStatement (statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: parameters => statement.all(...parameters as SQLInputValue[]),
    run: parameters => statement.run(...parameters as SQLInputValue[]),
    iterate: parameters => statement.iterate(...parameters as SQLInputValue[])
  }
}
