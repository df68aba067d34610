// npm install openapi-fetch openapi-typescript typescript@5 @types/node
// npx openapi-typescript $SALLYPORT_URL/openapi.yaml --default-non-nullable=false -o sallyport.d.ts
// npx tsc --strict --target es2022 --module nodenext client.ts && node client.js
import createClient from "openapi-fetch";
import type { components, paths } from "./sallyport.js";

type Problem = components["schemas"]["Problem"];
type Delivery = components["schemas"]["Delivery"];

const { SALLYPORT_URL: baseUrl, SALLYPORT_KEY: key, RECEIVER: url } = process.env;
if (!baseUrl || !key || !url) throw new Error("SALLYPORT_URL, SALLYPORT_KEY and RECEIVER must be set");
const sallyport = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(`${problem.code}: ${problem.detail ?? problem.title} (request ${problem.requestId})`);
  }
}

// The data of an answer, or an exception with the problem.
async function must<T>(call: Promise<{ data?: T; error?: Problem }>): Promise<T> {
  const { data, error } = await call;
  if (error) throw new Refused(error);
  return data as T;
}

// Create a webhook. Its secret is in this one answer.
const webhook = await must(
  sallyport.POST("/v1/webhooks", {
    body: { name: "ERP orders", url, eventTypes: ["order.*"], generateSecret: true, retry: { schedule: ["1s", "5m"] } },
  }),
);
console.log("created", webhook.code, webhook.state, webhook.secret);
const path = { webhook: webhook.code };

// Send it a sample.
const attempt = await must(sallyport.POST("/v1/webhooks/{webhook}/test", { params: { path } }));
console.log("test", attempt.outcome, attempt.response?.status);

// Publish. The same again is no harm, which is what makes it safe to repeat a call that got no answer.
const event = { id: "ord-7-paid", type: "order.paid", entityId: 7, entity: { total: 12 } };
for (let n = 0; n < 2; n++) {
  const { data, error, response } = await sallyport.POST("/v1/events", { body: event });
  if (error) throw new Refused(error);
  console.log("published", data.id, data.matched, data.duplicate, response.headers.get("Idempotent-Replayed"));
}

// Problems have codes, which the compiler knows.
const again = await sallyport.POST("/v1/events", { body: { ...event, entity: { total: 13 } } });
if (again.error) {
  switch (again.error.code) {
    case "event_id_reused":
      console.log("refused", again.response.status, again.error.code);
      break;
    case "rate_limited":
    case "unavailable": // … repeat after again.response.headers.get("Retry-After")
    default:
      throw new Refused(again.error);
  }
}
const wrong = await sallyport.PATCH("/v1/webhooks/{webhook}", {
  params: { path, query: { dryRun: true } },
  body: { retry: { schedule: ["5 min"] }, timeout: "1h" },
});
for (const fault of wrong.error?.errors ?? []) console.log("fault", fault.pointer, fault.code);

// Change it, unless somebody else has meanwhile.
const current = await sallyport.GET("/v1/webhooks/{webhook}", { params: { path } });
if (current.error) throw new Refused(current.error);
const changed = await must(
  sallyport.PUT("/v1/webhooks/{webhook}", {
    params: { path, header: { "If-Match": current.response.headers.get("ETag") ?? undefined } },
    body: { ...current.data, description: "Orders for the ERP" },
  }),
);
console.log("changed", changed.description, changed.version, changed.secrets.length);

// Lists come in pages.
async function* deliveries(): AsyncGenerator<Delivery> {
  let cursor: string | undefined;
  do {
    const page = await must(sallyport.GET("/v1/deliveries", { params: { query: { webhook: [webhook.code], order: "asc", limit: 1, cursor } } }));
    yield* page.data;
    cursor = page.nextCursor ?? undefined;
  } while (cursor);
}
for await (const d of deliveries()) {
  const failed = d.lastAttempt?.errorClass === "timeout" || d.stateReason === "attempts_exhausted";
  console.log("delivery", d.eventId === event.id ? d.eventId : "test", d.test, failed);
}

// A new secret; both sign for two days.
const rotated = await must(sallyport.POST("/v1/webhooks/{webhook}/secret/rotate", { params: { path }, body: { overlap: "48h" } }));
console.log("rotated", rotated.secret, rotated.previousExpiresAt);
