// Prints what the types of the package know: for each operation of the resources its
// parameters, and of its answer, as JSON. What is here is all that a program in
// TypeScript can send.
import path from "node:path";
import ts from "typescript";
import { resources } from "./resources.mjs";

const root = path.join(path.dirname(new URL(import.meta.url).pathname), "node_modules", "telnyx");
const entry = path.join(root, "client.d.ts");
const program = ts.createProgram([entry], { strict: true, skipLibCheck: true, noEmit: true, types: [], moduleResolution: ts.ModuleResolutionKind.Node10, target: ts.ScriptTarget.ES2022 });
const checker = program.getTypeChecker();
const client = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(entry))).find((e) => e.name === "Telnyx");
const clientType = checker.getDeclaredTypeOfSymbol(client);

function typeOf(symbol) {
  return checker.getTypeOfSymbolAtLocation(symbol, symbol.valueDeclaration ?? symbol.declarations[0]);
}

// isPlain tells objects of data from dates, functions and the like.
function isPlain(type) {
  return type.flags & ts.TypeFlags.Object && !type.getCallSignatures().length;
}

// shape describes a type: { kind, nullable, ... }.
function shape(type, depth = 0) {
  const parts = type.isUnion() ? type.types : [type];
  const nullable = parts.some((p) => p.flags & ts.TypeFlags.Null);
  const real = parts.filter((p) => !(p.flags & (ts.TypeFlags.Null | ts.TypeFlags.Undefined)));
  const described = describe(real, depth);
  return nullable ? { ...described, nullable } : described;
}

function describe(real, depth) {
  if (!real.length) return { kind: "null" };
  if (real.every((p) => p.flags & ts.TypeFlags.BooleanLike)) return { kind: "boolean" };
  if (real.every((p) => p.isStringLiteral() || p.isNumberLiteral())) return { kind: "enum", values: real.map((p) => p.value) };
  if (real.length > 1) return { kind: "union", of: real.map((p) => shape(p, depth)) };
  const [type] = real;
  if (type.flags & ts.TypeFlags.StringLike) return { kind: "string" };
  if (type.flags & ts.TypeFlags.NumberLike) return { kind: "number" };
  if (checker.isArrayType(type)) return { kind: "array", items: shape(checker.getTypeArguments(type)[0], depth + 1) };
  if (depth > 8 || !isPlain(type)) return { kind: "any" };
  const index = type.getStringIndexType();
  if (index && !type.getProperties().length) return { kind: "map", items: shape(index, depth + 1) };
  return { kind: "object", fields: Object.fromEntries(type.getProperties().map((p) => [p.name, field(p, depth)])) };
}

function field(symbol, depth) {
  const described = shape(typeOf(symbol), depth + 1);
  return symbol.flags & ts.SymbolFlags.Optional ? described : { ...described, required: true };
}

// answer is the type inside the promise of an operation.
function answer(signature) {
  const promised = checker.getTypeArguments(signature.getReturnType());
  const name = signature.getReturnType().symbol?.name ?? signature.getReturnType().aliasSymbol?.name;
  const paged = name === "PagePromise" || signature.getReturnType().aliasSymbol?.name === "PagePromise";
  const args = promised.length ? promised : (signature.getReturnType().aliasTypeArguments ?? []);
  return { paged, shape: shape(args[paged ? 1 : 0]) };
}

const operations = {};
for (const name of resources) {
  let type = clientType;
  for (const part of name.split(".")) type = typeOf(type.getProperty(part));
  for (const method of type.getProperties()) {
    const [signature] = typeOf(method).getCallSignatures();
    if (!signature || method.name.startsWith("_")) continue;
    const parameters = signature.getParameters().filter((p) => p.name !== "options");
    operations[`${name}.${method.name}`] = {
      parameters: parameters.map((p) => ({ name: p.name, ...shape(typeOf(p)) })),
      answer: answer(signature),
    };
  }
}
console.log(JSON.stringify(operations, null, 1));
