// SECRET=whsec_… node receiver.mjs
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";

const { SECRET: secret, PORT: port = "9000" } = process.env;
if (!secret) throw new Error("SECRET is not set"); // or everybody could call

const equal = (a, b) => a.length === b.length && timingSafeEqual(a, b);

// webhook-signature: HMAC-SHA256 of id, time and body, in base64; several while secrets change.
function verify(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": given = "" } = headers;
  if (!(Math.abs(Date.now() / 1000 - at) <= 300)) return false; // not of these five minutes
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  const want = createHmac("sha256", key).update(`${id}.${at}.`).update(body).digest();
  return given.split(" ").some((s) => s.startsWith("v1,") && equal(Buffer.from(s.slice(3), "base64"), want));
}

// X-Signature: HMAC-SHA256 of the body, in hex, under the secret as it is written. It has no
// time. While secrets change, that of the new one is in X-Signature-Next.
function verifyBody(headers, body) {
  const want = createHmac("sha256", secret).update(body).digest();
  return [headers["x-signature"], headers["x-signature-next"]].some((s) => equal(Buffer.from(s ?? "", "hex"), want));
}

const seen = new Set(); // in earnest a unique column, written in the transaction that does the work

async function receive(req) {
  const body = await buffer(req); // the raw bytes, before any parser: they are what is signed
  const plain = req.url === "/plain";
  if (plain ? !verifyBody(req.headers, body) : !verify(req.headers, body)) return [401, "not signed with our secret"];
  const event = JSON.parse(body);
  const id = plain ? event.eventId : req.headers["webhook-id"]; // whichever is signed
  if (seen.has(id)) return [200, "seen"];
  console.log("work on", event.eventType, event.entity);
  seen.add(id); // after the work: what failed comes again
  return [200, "done"];
}

createServer((req, res) => receive(req).catch(() => [500, "failed"]).then(([status, text]) => res.writeHead(status).end(text))).listen(port);
