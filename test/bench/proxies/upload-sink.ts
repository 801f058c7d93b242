import { createServer } from 'node:http'

// Takes every upload to its end, behind the API's nginx, which would answer before that.

createServer((request, response) => { request.resume().on('end', () => response.writeHead(204).end()) }).listen(Number(process.argv[2]), '127.0.0.1')
