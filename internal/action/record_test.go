package action_test

import (
	"testing"

	"sallyport/internal/hook"
)

func TestRecordActions(t *testing.T) {
	t.Parallel()
	const old = `{"qty":1,"name":"Bolt","deep":{"a":1,"b":2}}`
	type result struct {
		permanent string // text of the failure
		document  string
		expect    int64
		deleted   bool
		event     string
		entity    string
		answer    string
	}
	for name, c := range map[string]struct {
		kind   hook.ActionType
		config string
		exists bool
		want   result
	}{
		"create": {hook.ActionCreateRecord, `{"collection":"stock","key":"{{ item.sku }}"}`, false, result{
			document: `{"sku":"4711","qty":5}`, event: "Record.Created",
			entity: `{"collection":"stock","key":"4711","version":1,"document":{"sku":"4711","qty":5}}`,
		}},
		"create what exists": {hook.ActionCreateRecord, `{"collection":"stock","key":"4711"}`, true, result{permanent: "record stock/4711 exists"}},
		"upsert what is new": {hook.ActionUpsertRecord, `{"collection":"stock","key":"4711","document":{"qty":"{{ item.qty }}"}}`, false, result{
			document: `{"qty":5}`, event: "Record.Created", entity: `{"collection":"stock","key":"4711","version":1,"document":{"qty":5}}`,
		}},
		"upsert replaces": {hook.ActionUpsertRecord, `{"collection":"stock","key":"4711","document":{"qty":"{{ item.qty }}"}}`, true, result{
			document: `{"qty":5}`, expect: 3, event: "Record.Updated",
			entity: `{"collection":"stock","key":"4711","version":4,"document":{"qty":5},"before":` + old + `}`,
		}},
		"upsert that changes nothing": {hook.ActionUpsertRecord, `{"collection":"stock","key":"4711","document":{"name":"Bolt","deep":{"b":2,"a":1},"qty":1}}`, true, result{
			answer: `{"result":"unchanged","version":3}`,
		}},
		"update merges": {hook.ActionUpdateRecord, `{"collection":"stock","key":"4711","document":{"qty":"{{ item.qty }}","name":null,"deep":{"a":null,"c":[1]},"new":{"x":null,"y":1}}}`, true, result{
			document: `{"qty":5,"deep":{"b":2,"c":[1]},"new":{"y":1}}`, expect: 3, event: "Record.Updated",
			entity: `{"collection":"stock","key":"4711","version":4,"document":{"qty":5,"deep":{"b":2,"c":[1]},"new":{"y":1}},"before":` + old + `}`,
		}},
		"update that changes nothing": {hook.ActionUpdateRecord, `{"collection":"stock","key":"4711","document":{"qty":1,"gone":null}}`, true, result{
			answer: `{"result":"unchanged","version":3}`,
		}},
		"update what is not there": {hook.ActionUpdateRecord, `{"collection":"stock","key":"4711"}`, false, result{permanent: "there is no record stock/4711"}},
		"delete": {hook.ActionDeleteRecord, `{"collection":"stock","key":"4711"}`, true, result{
			deleted: true, expect: 3, event: "Record.Deleted", entity: `{"collection":"stock","key":"4711","version":3,"document":null,"before":` + old + `}`,
		}},
		"delete what is not there": {hook.ActionDeleteRecord, `{"collection":"stock","key":"4711"}`, false, result{answer: `{"result":"was not there"}`}},
		"a document that is none":  {hook.ActionUpsertRecord, `{"collection":"stock","key":"4711","document":"{{ item.qty }}"}`, false, result{permanent: "config.document: a record's document is a JSON object, and this is none"}},
		"a collection that is none": {hook.ActionUpsertRecord, `{"collection":"{{ item.none }}","key":"4711"}`, false, result{
			permanent: `config.collection: "": must be 1 to 64 letters, digits, _ and -`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			if c.exists {
				w.records["stock/4711"] = &hook.Record{Workspace: w.workspace, Collection: "stock", Key: "4711", Document: []byte(old), Version: 3}
			}
			got := run(t, w.executor(t), w.add("rec", c.kind, c.config), w.job(`{"sku":"4711","qty":5}`))
			if c.want.permanent != "" {
				if got.Outcome != hook.OutcomeFailed || !got.Permanent || got.Error != c.want.permanent || got.Effects != nil {
					t.Errorf("%+v", got)
				}
				return
			}
			if got.Outcome != hook.OutcomeSucceeded || got.Request.URL != "record:stock/4711" || got.Request.Method != string(c.kind) {
				t.Fatalf("%s: %+v", got.Error, got.Request)
			}
			if c.want.answer != "" {
				if got.Effects != nil || len(w.planned) != 0 || answer(got.Response) != c.want.answer {
					t.Errorf("%s, effects %+v", answer(got.Response), got.Effects)
				}
				return
			}
			if len(w.planned) != 1 || got.Effects == nil || len(got.Effects.Records) != 1 || len(got.Effects.Events) != 1 {
				t.Fatalf("%+v", got.Effects)
			}
			p, change := w.planned[0], got.Effects.Records[0]
			if p.event.Type != c.want.event || string(p.event.Entity) != c.want.entity || p.event.EntityID != (hook.EntityID{Text: "4711"}) || p.source.Kind != hook.SourceRecord {
				t.Errorf("event %+v\n%s\nwant %s", p, p.event.Entity, c.want.entity)
			}
			if string(change.Document) != c.want.document || change.Expect != c.want.expect || (change.Document == nil) != c.want.deleted ||
				change.Workspace != w.workspace || change.Collection != "stock" || change.Key != "4711" {
				t.Errorf("change %+v %s", change, change.Document)
			}
		})
	}
}
