package store

import (
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// fewTargets is up to how many targets a list is made by merging the newest rows of
// each, so that it costs targets x page. With more, the workspace owns so much of the
// table that walking it in order of id finds a page sooner.
const fewTargets = 64

// deliverySearch finds the ids of one page of deliveries. There is no index on state,
// workspace or time apart from the id, on purpose (see the migrations), so each way to
// ask has its own way in: events and entities by the event's deliveries; failed ones by
// the dead letter; waiting ones by due; the rest by target and id.
type deliverySearch struct {
	s      *Store
	f      hook.DeliveryFilter
	p      hook.Page
	states stateSet
	span   span
}

// page returns the ids of one page and, if there are more, one more.
func (q *deliverySearch) page(tx *gorm.DB) ([]hook.ID, error) {
	query, ok, err := q.query(tx)
	if err != nil || !ok {
		return nil, err
	}
	return list(tx, scanID, query.sql, query.args...)
}

// query makes the statement; ok is false if nothing can match.
func (q *deliverySearch) query(tx *gorm.DB) (query clauseOf, ok bool, err error) {
	switch {
	case len(q.f.EventIDs) > 0:
		keys, err := q.s.eventKeys(tx, q.f.Workspace, q.f.EventIDs)
		if err != nil || len(keys) == 0 {
			return clauseOf{}, false, err
		}
		return q.byEvent(q.s.among("d.event_key", keys)), true, nil
	case len(q.f.Requests) > 0:
		return q.byEvent(clauseOf{}), true, nil
	case len(q.f.EntityIDs) > 0:
		return q.byEntity(), true, nil
	case len(q.f.Replays) > 0:
		return q.merged([]clauseOf{q.over(q.f.Replays, q.fromReplay)}), true, nil
	}
	targets := q.f.Targets
	if len(targets) == 0 {
		// Tombstones too: their history is still there.
		targets, err = list(tx, scanID, "SELECT t.id FROM ("+ofTargets(q.f.TargetKind, "SELECT id, workspace_id FROM %t")+") t WHERE t.workspace_id = ? LIMIT ?",
			rowID(q.f.Workspace), fewTargets+1)
		if err != nil || len(targets) == 0 {
			return clauseOf{}, false, err
		}
	}
	ways, err := q.sources(tx)
	if err != nil {
		return clauseOf{}, false, err
	}
	var parts []clauseOf
	for _, way := range ways {
		parts = append(parts, q.over(targets, way))
	}
	return q.merged(parts), true, nil
}

// source is one way in, for the target of this value, or for all that are asked for if
// it is nil.
type source func(one *clauseOf) clauseOf

// bornSQL is the condition that a delivery was handed over at birth and is not finished:
// it has no row in due.
var bornSQL = fmt.Sprintf("d.state = %d", stateCodes.of(hook.StateRunning))

// bornFloor is an id below which no delivery handed over at birth is unfinished.
func bornFloor(tx *gorm.DB) (hook.ID, error) {
	ids, err := list(tx, scanID, "SELECT floor_id FROM nodes ORDER BY floor_id LIMIT 1")
	if err != nil || len(ids) == 0 {
		return lastID, err
	}
	return ids[0], nil
}

func (q *deliverySearch) sources(tx *gorm.DB) ([]source, error) {
	if q.states.scans() {
		return []source{q.fromDeliveries(q.span, q.states.row())}, nil
	}
	var out []source
	if q.states.has(hook.StateFailed) {
		out = append(out, q.fromDead)
	}
	if q.states.waits() {
		out = append(out, q.fromDue)
	}
	if q.states.has(hook.StateRunning) {
		floor, err := bornFloor(tx)
		if err != nil {
			return nil, err
		}
		floor = maxID(floor, q.span.from)
		out = append(out, q.fromDeliveries(span{from: floor, to: q.span.to}, bornSQL))
	}
	return out, nil
}

func (q *deliverySearch) fromDeliveries(r span, state string) source {
	return func(one *clauseOf) clauseOf {
		where, order := conditions{}, "d.id "+direction(q.p)
		if one != nil {
			var in clauseOf
			in, order = q.s.along("d.target_id", "d.id", *one, r, direction(q.p))
			where.addClause(in)
		} else {
			// All of the workspace are not named: it is a condition anyway.
			if len(q.f.Targets) > 0 {
				where.addClause(q.s.among("d.target_id", q.f.Targets))
			}
			where.add("d.id >= ? AND d.id < ?", rowID(r.from), rowID(r.to))
		}
		if state != "" {
			where.add(state)
		}
		q.common(&where)
		return q.limited("SELECT d.id FROM deliveries d WHERE "+where.String(), order, where.args)
	}
}

// fromReplay reads what a replay repeated or made, along an index that has nothing else.
func (q *deliverySearch) fromReplay(one *clauseOf) clauseOf {
	where, order := conditions{}, hidden("d.id")+" "+direction(q.p)
	if one != nil {
		var in clauseOf
		in, order = q.s.along("d.replay_id", "d.id", *one, q.span, direction(q.p))
		where.addClause(in)
	} else {
		where.addClause(q.s.among("d.replay_id", q.f.Replays))
		where.add(hidden("d.id")+" >= ? AND "+hidden("d.id")+" < ?", rowID(q.span.from), rowID(q.span.to))
	}
	where.add("d.replay_id IS NOT NULL") // as the index says
	if len(q.f.Targets) > 0 {
		where.addClause(q.s.among(hidden("d.target_id"), q.f.Targets))
	}
	if state := q.states.row(); state != "" {
		where.add(state)
	}
	q.common(&where)
	return q.limited("SELECT d.id FROM deliveries d WHERE "+where.String(), order, where.args)
}

func (q *deliverySearch) fromDead(one *clauseOf) clauseOf {
	where, order := conditions{}, hidden("x.delivery_id")+" "+direction(q.p)
	if one != nil {
		var in clauseOf
		in, order = q.s.along("x.target_id", "x.delivery_id", *one, q.span, direction(q.p))
		where.addClause(in)
	} else {
		where.addClause(q.someOf("x.target_id"))
		where.add(hidden("x.delivery_id")+" >= ? AND "+hidden("x.delivery_id")+" < ?", rowID(q.span.from), rowID(q.span.to))
	}
	where.add("d.id = x.delivery_id")
	q.common(&where)
	return q.limited("SELECT x.delivery_id AS id FROM dead x CROSS JOIN deliveries d WHERE "+where.String(), order, where.args)
}

// fromDue reads all that waits for a target, because due is in the order of time: some
// 0.3 s for a million. The deliveries are looked up only if they have to be.
func (q *deliverySearch) fromDue(one *clauseOf) clauseOf {
	where := conditions{}
	if one != nil {
		where.add("x.target_id = "+one.sql, one.args...)
		// Of one target it is asked once whether it is active, not row by row.
		state := q.states.waiting("x.held_by", one.sql)
		where.add(state, slices.Repeat(one.args, strings.Count(state, "?"))...)
	} else {
		where.addClause(q.someOf("x.target_id"))
		where.add(q.states.waiting("x.held_by", "x.target_id"))
	}
	id := hidden("x.delivery_id")
	where.add("x.workspace_id = ? AND "+id+" >= ? AND "+id+" < ?", rowID(q.f.Workspace), rowID(q.span.from), rowID(q.span.to))
	from := "due x"
	if q.f.TargetKind != "" || len(q.f.EventTypes) > 0 {
		from += " CROSS JOIN deliveries d"
		where.add("d.id = x.delivery_id")
		q.common(&where)
	}
	return q.limited("SELECT x.delivery_id AS id FROM "+from+" WHERE "+where.String(), id+" "+direction(q.p), where.args)
}

// someOf is the condition that the target is one of those asked for.
func (q *deliverySearch) someOf(column string) clauseOf {
	if len(q.f.Targets) > 0 {
		return q.s.among(column, q.f.Targets)
	}
	return clauseOf{column + " IN (SELECT t.id FROM (" + ofTargets(q.f.TargetKind, "SELECT id, workspace_id FROM %t") + ") t WHERE t.workspace_id = ?)",
		[]any{rowID(q.f.Workspace)}}
}

// common are the conditions on a row d whatever the way in. The event is looked up by a
// subquery that stays one: joined, the planner might begin with the events.
func (q *deliverySearch) common(where *conditions) {
	where.add("d.workspace_id = ?", rowID(q.f.Workspace))
	if q.f.TargetKind != "" {
		where.add("d.target_kind = ?", targetKindCodes.of(q.f.TargetKind))
	}
	if len(q.f.Replays) > 0 {
		where.addClause(q.s.among(hidden("d.replay_id"), q.f.Replays))
	}
	if len(q.f.EventTypes) > 0 {
		where.add("(SELECT e.type FROM events e WHERE e.workspace_id = d.workspace_id AND e.key = d.event_key) IN ?", q.f.EventTypes)
	}
}

// byEvent lists the deliveries of some events, and of those of requests, however they are
// filtered, by sorting them all.
func (q *deliverySearch) byEvent(events clauseOf) clauseOf {
	where := conditions{}
	if events.sql != "" {
		where.addClause(events)
	}
	if len(q.f.Requests) > 0 {
		var ranges conditions
		for _, id := range padded(q.f.Requests) {
			ranges.addClause(requestEvents(id).within("d.event_key"))
		}
		where.add(joinOr(ranges.sql), ranges.args...)
	}
	if len(q.f.EntityIDs) > 0 {
		where.add("(SELECT e.entity_id FROM events e WHERE e.workspace_id = d.workspace_id AND e.key = d.event_key) IN ?", q.f.EntityIDs)
	}
	return q.sorted("deliveries d", &where)
}

func (q *deliverySearch) byEntity() clauseOf {
	where := conditions{}
	// A delivery is never older than its event.
	where.add("e.workspace_id = ? AND e.entity_id IN ? AND e.key < ? AND d.event_key = e.key",
		rowID(q.f.Workspace), q.f.EntityIDs, rowID(q.span.to))
	return q.sorted("events e CROSS JOIN deliveries d", &where)
}

// sorted takes all deliveries of events and then sorts them: offered an order, or a
// range of ids, the planner might rather walk all deliveries along it.
func (q *deliverySearch) sorted(from string, where *conditions) clauseOf {
	id := hidden("d.id")
	where.add(id+" >= ? AND "+id+" < ?", rowID(q.span.from), rowID(q.span.to))
	if len(q.f.Targets) > 0 {
		where.addClause(q.s.among(hidden("d.target_id"), q.f.Targets))
	}
	if state := q.states.row(); state != "" {
		where.add(state)
	}
	q.common(where)
	return q.limited("SELECT d.id FROM "+from+" WHERE "+where.String(), id+" "+direction(q.p), where.args)
}

func (q *deliverySearch) limited(query, order string, args []any) clauseOf {
	return clauseOf{query + " ORDER BY " + order + " LIMIT ?", append(args, q.p.Limit+1)}
}

// over applies a way in to targets: to each by itself if they are few.
func (q *deliverySearch) over(targets []hook.ID, from source) clauseOf {
	if len(targets) > fewTargets {
		return from(nil)
	}
	if q.s.engine == Postgres {
		each := from(&clauseOf{sql: "t.id"})
		return clauseOf{
			"SELECT c.id FROM unnest(?::uuid[]) t(id) CROSS JOIN LATERAL (" + each.sql + ") c",
			append([]any{pgUUIDs(targets)}, each.args...),
		}
	}
	var parts []string
	var args []any
	for _, target := range targets {
		each := from(&clauseOf{"?", []any{rowID(target)}})
		parts = append(parts, "SELECT * FROM ("+each.sql+")")
		args = append(args, each.args...)
	}
	return clauseOf{strings.Join(parts, " UNION ALL "), args}
}

func (q *deliverySearch) merged(sources []clauseOf) clauseOf {
	var parts []string
	var args []any
	for _, part := range sources {
		parts = append(parts, "SELECT * FROM ("+part.sql+") s")
		args = append(args, part.args...)
	}
	return q.limited("SELECT z.id FROM ("+strings.Join(parts, " UNION ALL ")+") z", "z.id "+direction(q.p), args)
}
