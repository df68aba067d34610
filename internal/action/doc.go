// Package action runs what deliveries to actions and to doors' post-processors ask for: it
// renders an action's configuration, does the thing, and writes down what was asked and what
// came of it as an attempt. There is a file for each type of action. It decides nothing
// about retries. Of ours it imports internal/hook and the pure leaf libraries nearest,
// profile and template; all else it asks for as interfaces.
//
// # Templates
//
// Each text of a configuration is a Twig template without escaping. It sees request (id, ip,
// method, path, headers, query, rawBody, body), item (the event's entity), event, webhook (the door:
// id, code, name), secrets and now. request is null when no request led to the event, or when
// it is kept no longer. A template that fails is a permanent failure of class template: only
// another configuration can help.
//
// What the data and not the configuration is to blame for (a record that exists, a type that
// a strict workspace does not know, a loop) is a permanent failure of class status.
//
// # What happens once
//
// publishEvent and the record actions touch nothing themselves. What they would do is in the
// attempt's Effects, which the worker stores in the transaction that records the attempt. All
// other types happen at least once.
//
// # Sets
//
// Each attempt runs one member of a set, the one that the delivery's step says. A set within
// a set stands for its members. Members that are disabled or gone are passed over, as are
// those whose condition says no or fails.
//
// # Redaction
//
// Where a secret's value of four bytes or more occurs in what is recorded, as it is, in JSON,
// in a URL or in base64, [redacted] stands in its place.
package action
