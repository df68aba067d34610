import { createHash } from "node:crypto";

const minute = new Date().toISOString().slice(0, 16).replace("T", "_").replace(":", "-");
const hash = createHash("sha256").update(process.env.SECRET + minute).digest("hex");
const answer = await fetch(`${process.env.URL}?hash=${hash}`, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: '{"sku":"A-7", "quantity":3}',
});
console.log(await answer.text());
