// One upload with tus-js-client as it is: node tus_upload.cjs MODULES URL KEY FILE STORAGE [CHUNK_SIZE [STOP_AFTER_BYTES]]
// Prints where the upload is, and in the end the job's path. Goes on with what STORAGE knows of the file.
const fs = require("node:fs");
const [modules, endpoint, key, file, storage, chunkSize, stopAfter] = process.argv.slice(2);
const tus = require(`${modules}/tus-js-client`);

const upload = new tus.Upload(fs.createReadStream(file), {
  endpoint,
  headers: { Authorization: `Bearer ${key}` },
  metadata: { domain: "pathology", parameters: '{"exam":"lung_ultrasound"}', filename: "DOE_JANE.mp4" },
  chunkSize: Number(chunkSize) || Infinity,
  retryDelays: [0, 50, 100, 200, 400, 800],
  urlStorage: new tus.FileUrlStorage(storage),
  fingerprint: async () => file,
  onProgress: (sent) => stopAfter && sent > Number(stopAfter) && process.exit(9),
  onAfterResponse: (_, response) => {
    job = response.getHeader("Hedgerow-Job") || job;
  },
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess: () => console.log(JSON.stringify({ url: upload.url, job })),
});
let job = null;
upload.findPreviousUploads().then(([previous]) => {
  if (previous) upload.resumeFromPreviousUpload(previous);
  upload.start();
});
