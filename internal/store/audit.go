package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// auditPageBytes ends a page of the audit log early: with before and after an entry may
// have half a megabyte.
const auditPageBytes = 4 << 20

// auditInsert writes a row, with the arguments of auditRow.
const auditInsert = `INSERT INTO audit_log (id, workspace_id, action, kind, resource_id, resource_key, actor_kind, actor_id, actor_key, request_id, detail)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// auditDetail is the column detail: what nobody searches for.
type auditDetail struct {
	Code          string          `json:"code,omitempty"`
	Name          string          `json:"name,omitempty"`
	ActorCode     string          `json:"actorCode,omitempty"`
	ActorName     string          `json:"actorName,omitempty"`
	ActorRole     string          `json:"actorRole,omitempty"`
	Command       string          `json:"command,omitempty"`
	ClientAddress string          `json:"clientAddress,omitempty"`
	VersionBefore int64           `json:"versionBefore,omitempty"`
	VersionAfter  int64           `json:"versionAfter,omitempty"`
	Changed       []string        `json:"changed,omitempty"`
	Before        json.RawMessage `json:"before,omitempty"`
	After         json.RawMessage `json:"after,omitempty"`
}

// audit puts an entry on record in the transaction that does what it tells of. The store
// adds id, time and, from the context, who did it.
func (s *Store) audit(tx *gorm.DB, e *hook.AuditEntry) error {
	args, err := s.auditRow(tx.Statement.Context, e)
	if err != nil {
		return err
	}
	return tx.Exec(auditInsert, args...).Error
}

// auditEdit puts a change of configuration on record; after is nil for what is gone.
func (s *Store) auditEdit(tx *gorm.DB, scope hook.ID, before, after hook.Audited) error {
	var d hook.AuditDescription
	if s.describe != nil {
		var err error
		if d, err = s.describe(before, after); err != nil {
			return err
		}
	}
	return s.audit(tx, hook.NewAuditEntry(hook.VerbOf(tx.Statement.Context), scope, before, after, d))
}

// Audit puts on record what is done in no transaction of the store's own that could hold
// the row, or what changes nothing in it.
func (s *Store) Audit(ctx context.Context, e *hook.AuditEntry) error {
	return s.write(ctx, func(tx *gorm.DB) error { return s.audit(tx, e) })
}

// auditRow is an entry as it lies in a row, for every driver.
func (s *Store) auditRow(ctx context.Context, e *hook.AuditEntry) ([]any, error) {
	id, who := s.ids.New(), hook.ActorOf(ctx)
	detail, err := json.Marshal(auditDetail{
		Code: e.Code, Name: e.Name, ActorCode: who.Code, ActorName: who.Name, ActorRole: string(who.Role), Command: who.Command,
		ClientAddress: who.ClientAddress, VersionBefore: e.VersionBefore, VersionAfter: e.VersionAfter,
		Changed: e.Changed, Before: e.Before, After: e.After,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding audit entry: %w", err)
	}
	return []any{
		rowID(id), rowID(e.Workspace), string(e.Action), string(e.Kind), orNULL(e.Resource), codeKey(e.Code),
		string(who.Kind), orNULL(who.Key), codeKey(who.Code), orNULL(who.RequestID), string(detail),
	}, nil
}

// orNULL is an id, or NULL for none.
func orNULL(id hook.ID) any {
	if id == hook.NoID {
		return nil
	}
	return rowID(id)
}

// AuditLog lists what was done, and reports whether more follow. A page of large entries
// has fewer than asked for.
func (s *Store) AuditLog(ctx context.Context, f hook.AuditFilter, p hook.Page) (out []*hook.AuditEntry, more bool, err error) {
	for _, text := range []string{f.Resource, f.Actor} {
		if !isText(text) {
			return nil, false, nil
		}
	}
	page := s.auditPage(f, p)
	err = s.search(ctx, func(tx *gorm.DB) error {
		found, err := list(tx, scanID, page.sql, page.args...)
		if err != nil || len(found) == 0 {
			return err
		}
		in := s.among("a.id", found[:min(len(found), p.Limit)])
		sizes, err := list(tx, func(rows *sql.Rows, n *int) error { return rows.Scan(n) },
			"SELECT octet_length(a.detail) FROM audit_log a WHERE "+in.sql+" ORDER BY a.id "+direction(p), in.args...)
		if err != nil {
			return err
		}
		n, size := 0, 0
		for n < len(sizes) && (n == 0 || size+sizes[n] <= auditPageBytes) {
			size += sizes[n]
			n++
		}
		more = n < len(found)
		in = s.among("a.id", found[:n])
		out, err = list(tx, scanAudit, `SELECT a.id, a.workspace_id, coalesce(w.code, ''), a.action, a.kind, a.resource_id, a.actor_kind, a.actor_id, a.request_id, a.detail
			FROM audit_log a LEFT JOIN workspaces w ON w.id = a.workspace_id WHERE `+in.sql+" ORDER BY a.id "+direction(p), in.args...)
		return err
	})
	return out, more, err
}

// auditPage makes the statement for the ids of one page and, if there are more,
// one more. Each way in is in the order of ids along an index; what else is asked for is
// looked for on that way.
func (s *Store) auditPage(f hook.AuditFilter, p hook.Page) clauseOf {
	var rest conditions
	some := func(column string, values []string) {
		if len(values) > 0 {
			rest.add(column+" IN ?", padded(values))
		}
	}
	some("a.kind", texts(f.Kinds))
	some("a.action", texts(f.Actions))
	some("a.actor_kind", texts(f.ActorKinds))
	if f.Actor != "" {
		rest.addClause(ref("a.actor_id", "a.actor_key", f.Actor))
	}
	if f.Resource != "" {
		rest.addClause(ref("a.resource_id", "a.resource_key", f.Resource))
	}
	if f.RequestID != hook.NoID {
		rest.add("a.request_id = ?", rowID(f.RequestID))
	}
	r, dir := spanOf(f.Since, f.Until, p), direction(p)
	own, installation := clauseOf{"?", []any{rowID(f.Workspace)}}, clauseOf{"?", []any{rowID(hook.NoID)}}
	var parts []string
	var args []any
	way := func(from clauseOf, order string) {
		where := conditions{sql: []string{from.sql}, args: from.args}
		where.sql, where.args = append(where.sql, rest.sql...), append(where.args, rest.args...)
		parts = append(parts, "SELECT * FROM (SELECT a.id FROM audit_log a WHERE "+where.String()+" ORDER BY "+order+" LIMIT ?) s")
		args = append(append(args, where.args...), p.Limit+1)
	}
	if f.Scope == hook.AuditOfAllWorkspaces {
		way(clauseOf{"a.id >= ? AND a.id < ?", []any{rowID(r.from), rowID(r.to)}}, "a.id "+dir)
	}
	if f.Scope == hook.AuditOfWorkspace || f.Scope == hook.AuditOfBoth {
		way(s.along("a.workspace_id", "a.id", own, r, dir))
	}
	if f.Scope == hook.AuditOfWorkspace { // what was done to the workspace itself
		from, order := s.alongAll([]string{"a.workspace_id", "a.resource_id"}, "a.id", []clauseOf{installation, own}, r, dir)
		from.sql += " AND a.resource_id IS NOT NULL" // so that the partial index serves
		way(from, order)
	}
	if f.Scope == hook.AuditOfInstallation || f.Scope == hook.AuditOfBoth {
		way(s.along("a.workspace_id", "a.id", installation, r, dir))
	}
	return clauseOf{"SELECT z.id FROM (" + strings.Join(parts, " UNION ALL ") + ") z ORDER BY z.id " + dir + " LIMIT ?", append(args, p.Limit+1)}
}

// ref is the condition that something has this id, or else this code without regard to case.
func ref(id, key, text string) clauseOf {
	if x, err := hook.ParseID(text); err == nil && hook.IsID(text) {
		return clauseOf{id + " = ?", []any{rowID(x)}}
	}
	return clauseOf{key + " = ?", []any{codeKey(text)}}
}

func texts[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

func scanAudit(rows *sql.Rows, to **hook.AuditEntry) error {
	e := &hook.AuditEntry{}
	*to = e
	var text []byte
	if err := rows.Scan((*rowID)(&e.ID), (*rowID)(&e.Workspace), &e.WorkspaceCode, &e.Action, &e.Kind, (*rowID)(&e.Resource),
		&e.Actor.Kind, (*rowID)(&e.Actor.Key), (*rowID)(&e.Actor.RequestID), &text); err != nil {
		return err
	}
	var d auditDetail
	if err := json.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("audit entry %s: %w", e.ID, err)
	}
	e.Code, e.Name, e.VersionBefore, e.VersionAfter = d.Code, d.Name, d.VersionBefore, d.VersionAfter
	e.Actor.Code, e.Actor.Name, e.Actor.Role = d.ActorCode, d.ActorName, hook.Role(d.ActorRole)
	e.Actor.Command, e.Actor.ClientAddress = d.Command, d.ClientAddress
	e.Changed, e.Before, e.After = d.Changed, d.Before, d.After
	return nil
}

// PurgeAudit removes what is older than its workspace keeps its audit log, or than
// retention where the workspace does not say and for what is the installation's, in steps
// of a thousand rows with rests in between. 0 keeps for ever. It returns how many went.
func (s *Store) PurgeAudit(ctx context.Context, retention time.Duration) (int, error) {
	p, done := purge{s: s}, 0
	var scopes []purgeScope
	err := s.read(ctx, func(tx *gorm.DB) (err error) {
		scopes, err = list(tx, func(rows *sql.Rows, w *purgeScope) error { return rows.Scan((*rowID)(&w.workspace), &w.retention) },
			"SELECT id, audit_retention FROM workspaces ORDER BY id")
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, w := range append(scopes, purgeScope{}) {
		if w.retention == 0 {
			w.retention = retention
		}
		if w.retention == 0 {
			continue
		}
		old := hook.FirstID(s.now().Add(-w.retention))
		err := p.steps(ctx, func() (bool, error) {
			n, err := s.deleteSome(ctx, "audit_log", purgeRows, s.forUpdateSkip(), "workspace_id = ? AND id < ?", rowID(w.workspace), rowID(old))
			done += n
			return n > 0, err
		})
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// RunAuditRetention purges the audit log every so often until ctx ends; the first time at
// once. Any number of nodes may run it.
func (s *Store) RunAuditRetention(ctx context.Context, every, retention time.Duration) error {
	return s.purging(ctx, every, func() (hook.Purged, error) {
		n, err := s.PurgeAudit(ctx, retention)
		return hook.Purged{Audit: n}, err
	})
}
