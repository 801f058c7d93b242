import { SqliteAdapter, SqliteDialect, sql, type DialectAdapter, type Kysely, type SqliteDatabase, type SqliteStatement } from 'kysely'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'

/** Kysely's SQLite dialect on `node:sqlite`. */
export class NodeSqliteDialect extends SqliteDialect {
  constructor (database: DatabaseSync) {
    super({ database: adaptDatabase(database) })
  }

  override createAdapter (): DialectAdapter {
    return new LockingSqliteAdapter()
  }
}

/**
 * Kysely takes SQLite to belong to one process. Here several may start on one file, so a migration is one transaction
 * that begins with a write: the second process waits for its turn (busy_timeout), and finds the work done.
 */
class LockingSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl (): boolean { return true }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- Kysely's own signature
  override async acquireMigrationLock (db: Kysely<any>): Promise<void> {
    await sql`update kysely_migration_lock set is_locked = is_locked`.execute(db)
  }
}

function adaptDatabase (database: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>()
  return {
    close: () => { if (database.isOpen) database.close() },
    prepare: text => {
      const known = statements.get(text)
      if (known !== undefined) return known
      const statement = adaptStatement(database.prepare(text))
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
