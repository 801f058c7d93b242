import { parentPort, workerData } from 'node:worker_threads'
import { connectStore, type StoreSettings } from '../../src/trail/store/connect.ts'

/** A worker that opens a store, as another instance would, and closes it again. */
const store = (await connectStore(workerData as StoreSettings)).createStore()
await store.open()
await store.close()
parentPort?.postMessage('opened')
