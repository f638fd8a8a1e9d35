// Times whole models on ONNX Runtime's WebGPU provider and prints one JSON line a model.
//
//   node run.mjs FOLDER...
//   node run.mjs --cold FOLDER
//
// With --cold it is the time from opening a model to its first result, outputs unchecked.
//
// A folder is in the ONNX test layout: model.onnx, test_data_set_0/input_I.pb and output_I.pb. The outputs are compared with the expected
// ones first. A run is upload, all kernels and readback: inputs and outputs are ordinary arrays.

import { readFileSync, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const WARM_UP = 20;
const RUNS = 200;
const SECONDS = 6;
// What gristmill's own tests allow against the frameworks the models came from.
const RELATIVE = 1e-3;
const ABSOLUTE = 1e-4;

/** Element types of ONNX: name, and the array of so many bytes. */
const TYPES = { 1: ['float32', Float32Array], 6: ['int32', Int32Array], 7: ['int64', BigInt64Array], 9: ['bool', Uint8Array] };

/** Reads a TensorProto whose data lie in `raw_data`: fields 1 (dims), 2 (data_type), 9 (raw_data). */
function tensor(path) {
  const bytes = readFileSync(path);
  let at = 0;
  const varint = () => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(value);
    }
  };
  const dims = [];
  let type, raw;
  while (at < bytes.length) {
    const key = varint();
    if ((key & 7) === 2) {
      const end = varint() + at;
      if (key >> 3 === 1) while (at < end) dims.push(varint());
      if (key >> 3 === 9) raw = bytes.subarray(at, end);
      at = end;
    } else {
      const value = varint();
      if (key >> 3 === 1) dims.push(value);
      if (key >> 3 === 2) type = value;
    }
  }
  if (!(type in TYPES) || !raw) throw new Error(`${path}: no raw data of a known type`);
  const [name, Typed] = TYPES[type];
  return new Tensor(name, new Typed(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length)), dims);
}

/** The tensors PREFIX0.pb, PREFIX1.pb, ... of a data set. */
function tensors(folder, prefix) {
  const found = [];
  for (let path; existsSync((path = join(folder, 'test_data_set_0', `${prefix}${found.length}.pb`))); ) found.push(tensor(path));
  return found;
}

function check(found, expected, what) {
  if (found.type !== expected.type || String(found.dims) !== String(expected.dims)) {
    throw new Error(`${what}: ${found.type} [${found.dims}], expected ${expected.type} [${expected.dims}]`);
  }
  for (let i = 0; i < expected.data.length; i++) {
    const [a, b] = [Number(found.data[i]), Number(expected.data[i])];
    if (!(Math.abs(a - b) <= ABSOLUTE + RELATIVE * Math.abs(b))) throw new Error(`${what}, element ${i}: ${a}, expected ${b}`);
  }
}

async function measure(folder) {
  const session = await InferenceSession.create(join(folder, 'model.onnx'), { executionProviders: ['webgpu'], logSeverityLevel: 3 });
  const inputs = Object.fromEntries(tensors(folder, 'input_').map((data, i) => [session.inputNames[i], data]));
  const expected = tensors(folder, 'output_');
  const outputs = await session.run(inputs);
  if (!expected.length) throw new Error('no expected outputs');
  expected.forEach((data, i) => check(outputs[session.outputNames[i]], data, session.outputNames[i]));
  for (let i = 1; i < WARM_UP; i++) await session.run(inputs);
  const times = [];
  for (const start = performance.now(); times.length < RUNS && performance.now() - start < SECONDS * 1000; ) {
    const before = performance.now();
    await session.run(inputs);
    times.push((performance.now() - before) * 1000);
  }
  await session.release();
  times.sort((a, b) => a - b);
  const at = (part) => Math.round(times[Math.floor((times.length - 1) * part)]);
  return { model: basename(folder), p50_us: at(0.5), p95_us: at(0.95), min_us: at(0), runs: times.length };
}

async function firstResult(folder) {
  const inputs = tensors(folder, 'input_');
  const before = performance.now();
  const session = await InferenceSession.create(join(folder, 'model.onnx'), { executionProviders: ['webgpu'], logSeverityLevel: 3 });
  await session.run(Object.fromEntries(inputs.map((data, i) => [session.inputNames[i], data])));
  return { model: basename(folder), first_us: Math.round((performance.now() - before) * 1000) };
}

const cold = process.argv[2] === '--cold';
for (const folder of process.argv.slice(cold ? 3 : 2)) {
  try {
    console.log(JSON.stringify(await (cold ? firstResult : measure)(folder)));
  } catch (error) {
    console.error(`${basename(folder)}: ${error.message}`);
    process.exitCode = 1;
  }
}
