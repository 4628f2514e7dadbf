// Calls every operation that the package has for the resources of Tollgate, with every
// field that its types know, and checks the answers by the schemas. The argument is the
// file that types.mjs printed.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import Telnyx from "telnyx";
import { operationsOf, resources } from "./resources.mjs";
import { recipes, written } from "./recipes.mjs";
import { apiKey, baseURL, request, step } from "./steps.mjs";
import { values } from "./values.mjs";

const types = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const client = new Telnyx({ apiKey, baseURL, maxRetries: 0 });

const ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true });
addFormats(ajv);
const schemas = {};
const folder = path.join(import.meta.dirname, "schemas");
for (const file of fs.readdirSync(folder)) {
  const schema = JSON.parse(fs.readFileSync(path.join(folder, file), "utf8"));
  schemas[schema.$id] = schema;
  ajv.addSchema(schema);
}

function check(name, value, what) {
  const validate = ajv.getSchema(name);
  assert.ok(validate, `there is no schema ${name}`);
  assert.ok(validate(value), `${what} is no ${name}: ${ajv.errorsText(validate.errors, { separator: "\n  " })}\n${JSON.stringify(value)}`);
}

// fill makes a value of a type. choose names the value of one place; sent gets the
// places that the value has.
function fill(type, place, choose, sent) {
  if (place in choose) return note(choose[place]);
  const known = lookUp(place);
  switch (type.kind) {
    case "object":
      return Object.fromEntries(
        Object.entries(type.fields).map(([name, field]) => [name, fill(field, `${place}.${name}`, choose, sent)]).filter(([, value]) => value !== undefined),
      );
    case "array":
      return [fill(type.items, place, choose, sent)];
    case "boolean":
      return note(known.found ? known.value : true);
    case "enum":
      return note(known.found ? known.value : type.values[0]);
    case "number":
      return note(known.found ? known.value : fail());
    case "string":
      return note(known.found ? known.value : fail());
    default:
      return fail();
  }
  function note(value) {
    if (value !== undefined) sent.add(place);
    return value;
  }
  function fail() {
    throw new Error(`values.mjs has nothing for ${place} (${type.kind})`);
  }
}

// lookUp finds the value for the longest end of a place.
function lookUp(place) {
  for (let rest = place; rest; rest = rest.includes(".") ? rest.slice(rest.indexOf(".") + 1) : "") {
    if (rest in values) return { found: true, value: typeof values[rest] === "function" ? values[rest]() : values[rest] };
  }
  return { found: false };
}

// leaves are the places of a type that have values.
function leaves(type, place) {
  if (type.kind === "object") return Object.entries(type.fields).flatMap(([name, field]) => leaves(field, `${place}.${name}`));
  return type.kind === "array" ? leaves(type.items, place) : [{ place, type }];
}

function find(operation) {
  const parts = operation.split(".");
  const method = parts.pop();
  const owner = parts.reduce((at, part) => at[part], client);
  return owner[method].bind(owner);
}

// send makes one request. What it gives is the parsed answer, as it came.
async function send(operation, args) {
  const response = await find(operation)(...args).asResponse();
  const text = await response.text();
  return { status: response.status, body: text && JSON.parse(text), ignored: response.headers.get("tollgate-ignored-parameters") };
}

// call makes one request with what the recipe says.
async function call(operation, choose, sent) {
  const { parameters } = types[operation];
  const recipe = recipes[operation];
  const filled = {};
  for (const parameter of parameters.filter((p) => p.kind === "object")) {
    filled[parameter.name] = fill(parameter, `${operation}.${parameter.name}`, { ...(await recipe.choose?.()), ...choose }, sent);
  }
  const own = (await recipe.args?.(filled)) ?? {};
  const args = [];
  for (const parameter of parameters) args.push(own[parameter.name] ?? filled[parameter.name]);
  let answer;
  try {
    answer = await send(operation, args);
  } catch (error) {
    throw new Error(`${operation}(${JSON.stringify(args)}): ${error.message}`);
  }
  checkAnswer(operation, recipe, answer);
  if (recipe.kept !== false && filled.body) checkKept(operation, filled.body, answer.body.data, recipe);
  return answer;
}

function checkAnswer(operation, recipe, { body, ignored }) {
  const unheard = (ignored ?? "").split(/, */).filter((name) => name && !(recipe.ignored ?? []).includes(name));
  assert.deepEqual(unheard, [], `${operation} ignored parameters`);
  const items = recipe.whole ? [body] : Array.isArray(body.data) ? body.data : [body.data];
  for (const item of items) check(recipe.schema, item, operation);
  if (types[operation].answer.paged) check(recipe.pages ?? "pages", body.meta, operation);
  if (recipe.some) assert.ok(items.length > 0, `${operation} gave nothing`);
}

// checkKept wants what was sent to come back, but null: that sets a field to its default.
function checkKept(operation, sent, got, { changed = [], readAs = {} }, place = "") {
  for (const [name, value] of Object.entries(sent)) {
    const at = place + name;
    if (value === null || changed.includes(at)) continue;
    if (value && typeof value === "object" && !Array.isArray(value)) checkKept(operation, value, got[name] ?? {}, { changed, readAs }, at + ".");
    else assert.deepEqual(got[name], readAs[`${at}=${value}`] ?? value, `${operation}: ${at} was sent as ${JSON.stringify(value)}`);
  }
}

// variants are the values of enumerations beside the first, and null where it may be.
function variants(operation) {
  return types[operation].parameters.filter((p) => p.kind === "object").flatMap((parameter) =>
    leaves(parameter, `${operation}.${parameter.name}`).flatMap(({ place, type }) => [
      ...(type.kind === "enum" ? type.values.slice(1) : []).map((value) => ({ place, value })),
      ...(type.kind === "boolean" ? [{ place, value: false }] : []),
      ...(type.nullable && type.kind !== "object" ? [{ place, value: null }] : []),
    ]),
  );
}

const problems = [];
const selected = (operation) => types[operation] && (!process.argv[3] || process.argv[3] === operation);
async function held(name, run) {
  try {
    await step(name, run);
  } catch (error) {
    problems.push(`${name}: ${error.message}`);
  }
}

await held("the schemas know every field of the answers", async () => {
  for (const [operation, recipe] of Object.entries(recipes)) {
    if (!recipe.schema || recipe.ownSchema || recipe.absent) continue;
    let { shape } = types[operation].answer;
    if (!types[operation].answer.paged && !recipe.whole) shape = shape.fields.data;
    covers(schemas[recipe.schema], shape.kind === "array" ? shape.items : shape, recipe.schema);
  }
});

function covers(schema, type, place) {
  if (type.kind === "enum") {
    const known = [...type.values, null];
    const words = schema.enum ?? [schema.const];
    assert.deepEqual(words.filter((word) => !known.includes(word)), [], `the schema has words of ${place} that the types do not know`);
  }
  if (type.kind === "array") return covers(schema.items ?? {}, type.items, place + "[]");
  for (const [name, field] of Object.entries(type.fields ?? {})) {
    assert.ok(schema.properties?.[name], `the schema has nothing of ${place}.${name}`);
    covers(schema.properties[name], field, `${place}.${name}`);
  }
}

await held("every operation of the package has a recipe", async () => {
  const found = operationsOf(client, resources);
  assert.deepEqual(found.filter((o) => !types[o]), [], "operations without types");
  assert.deepEqual(Object.keys(types).filter((o) => !recipes[o]), [], "operations that no recipe calls");
  assert.deepEqual(Object.keys(recipes).filter((o) => !types[o]), [], "recipes of operations that the package does not have");
});

for (const [operation, recipe] of Object.entries(recipes)) {
  if (recipe.absent || !selected(operation)) continue;
  await held(operation, async () => {
    const wrong = [];
    const sent = new Set();
    const trial = (what, choose) => call(operation, choose, sent).catch((error) => wrong.push(`${what}${error.message}`));
    for (const choose of recipe.calls ?? [{}]) {
      await trial("", Object.fromEntries(Object.entries(choose).map(([place, value]) => [`${operation}.${place}`, value])));
    }
    const missing = types[operation].parameters.filter((p) => p.kind === "object").flatMap((p) => leaves(p, `${operation}.${p.name}`))
      .map((leaf) => leaf.place).filter((place) => !sent.has(place) && !(recipe.never ?? []).includes(place.slice(operation.length + 1)));
    assert.deepEqual(missing, [], "fields that were not sent");
    for (const { place, value } of variants(operation)) {
      const short = place.slice(operation.length + 1);
      if ((recipe.skip ?? []).some((s) => s === short || s === `${short}=${value}`)) continue;
      await trial(`${short} = ${value}: `, { [place]: value });
    }
    assert.ok(!wrong.length, [...new Set(wrong)].join("\n  "));
  });
}

// Strict clients refuse an object with a word that their types do not know, and the list
// that it is in. So every word that a write takes is written, also those of no type, and
// read back from wherever it is shown.
await held("no answer has a word that the types do not know", async () => {
  const { paths, components } = (await request("GET", "/openapi.json")).body;
  const follow = (schema) => (schema?.$ref ? components.schemas[schema.$ref.split("/").pop()] : schema);
  const bodyOf = (path, method) => follow(paths[path]?.[method]?.requestBody?.content["application/json"].schema);
  const words = (schema, place = []) =>
    Object.entries(follow(schema)?.properties ?? {}).flatMap(([name, member]) => [
      ...(follow(member).enum ?? []).map((word) => ({ place: [...place, name], word })), ...words(member, [...place, name]),
    ]);
  let taken = 0;
  for (const { path, below = "", schema, maker, create, skip = [], with: more = {} } of written) {
    const one = Object.keys(paths).find((p) => p.startsWith(`${path}/{`) && p.endsWith(`}${below}`) && paths[p].patch);
    for (const [method, send] of [
      ["patch", async (body) => request("PATCH", `${path}/${await maker()}${below}`, body)],
      ["post", async (body) => request("POST", path, { ...body, ...create() })],
    ]) {
      if (method === "post" && !create) continue;
      for (const { place, word } of words(bodyOf(method === "post" ? path : one, method))) {
        if (skip.includes(`${place.join(".")}=${word}`)) continue;
        const body = structuredClone(more);
        place.slice(0, -1).reduce((at, name) => (at[name] ??= {}), body)[place.at(-1)] = word;
        const answer = await send(body);
        if (answer.status >= 300) continue; // not with what stands beside it
        taken++;
        check(schema, answer.body.data, `${method} ${path}${below} with ${place.join(".")} = ${word}`);
        const found = await request("GET", `${path}/${answer.body.data.id}${below}`);
        check(schema, found.body.data, `${path}${below} after ${method} of ${place.join(".")} = ${word}`);
      }
    }
  }
  assert.ok(taken > 100, `${taken} words were taken`);
  for (const { path, schema } of [...written.filter((w) => !w.below), { path: "/v2/connections", schema: "connection" }]) {
    for (let number = 1, pages = 1; number <= pages; number++) {
      const { body } = await request("GET", `${path}?page[number]=${number}`);
      pages = body.meta.total_pages;
      for (const item of body.data) check(schema, item, `the list ${path}`);
    }
  }
});

const absent = Object.keys(recipes).filter((o) => recipes[o].absent);
await held("what is not here says so", async () => {
  for (const operation of absent) {
    const args = types[operation].parameters.map((p) => (p.kind === "object" ? {} : "428c31b6-7af4-4bcb-b7f5-5013ef9657c1"));
    const error = await find(operation)(...args).then(() => null, (e) => e);
    assert.equal(error?.status, 404, operation);
    check("error", error.error, operation);
  }
});

console.log(`${Object.keys(recipes).length - absent.length} operations, ${absent.length} that are not here`);
if (problems.length) {
  console.error(problems.map((p) => "- " + p).join("\n"));
  process.exitCode = 1;
}
