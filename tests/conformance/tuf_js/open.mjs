// Open bundles with tuf-js, a TUF client that shares no code with ours, as any TUF repository.
//
//   node open.mjs MODULES < jobs.json
//
// A job is {"bundle": folder, "trust": folder}; `trust` holds root.json, and keeps what was trusted, so that a
// second job can try a rollback. Gives a list of {"accepted": true, "targets": [...]} or {"accepted": false, "why"}.
import { createRequire } from 'node:module'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

const require = createRequire(path.join(process.argv[2], 'node_modules', 'x.js'))
const { BaseFetcher, Updater } = require('tuf-js')
const { DownloadHTTPError } = require('tuf-js/dist/error')

// Reads the folder form of a bundle where tuf-js would use HTTP.
class FolderFetcher extends BaseFetcher {
  async fetch (url) {
    const file = decodeURIComponent(new URL(url).pathname)
    if (!fs.existsSync(file)) throw new DownloadHTTPError('not there', 404)
    return new Blob([fs.readFileSync(file)]).stream()
  }
}

async function open ({ bundle, trust }) {
  const targetDir = fs.mkdtempSync(path.join(os.tmpdir(), 'tuf-js-'))
  try {
    const updater = new Updater({
      metadataDir: trust,
      metadataBaseUrl: `file://${bundle}/metadata`,
      targetDir,
      targetBaseUrl: `file://${bundle}/targets`,
      fetcher: new FolderFetcher()
    })
    await updater.refresh()
    const targets = []
    for (const name of ['release.json', 'content.ndjson']) {
      const info = await updater.getTargetInfo(name)
      if (info === undefined) throw new Error(`${name} is not named`)
      await updater.downloadTarget(info)
      targets.push(name)
    }
    return { accepted: true, targets }
  } catch (error) {
    return { accepted: false, why: `${error.constructor.name}: ${error.message}` }
  } finally {
    fs.rmSync(targetDir, { recursive: true })
  }
}

const results = []
for (const job of JSON.parse(fs.readFileSync(0, 'utf8'))) results.push(await open(job))
console.log(JSON.stringify(results))
