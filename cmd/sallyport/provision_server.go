package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"sallyport/internal/provision"
)

// provisionServer is a running Sallyport as provisioning sees it.
type provisionServer struct{ remote *remote }

func objectPath(k *provision.Kind, code string) string {
	return "/v1/" + k.Path + "/" + url.PathEscape(code)
}

// Get returns an object, or nil if there is none.
func (s provisionServer) Get(ctx context.Context, k *provision.Kind, code string) (*provision.Object, error) {
	var doc json.RawMessage
	header, err := s.remote.json(ctx, remoteRequest{method: http.MethodGet, path: objectPath(k, code)}, &doc)
	if notThere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return provision.NewObject(k, doc, header.Get("ETag"))
}

// notThere reports whether a problem is that the object does not exist. A workspace that does not
// is another matter: its field says so.
func notThere(err error) bool {
	var p *problemError
	return errors.As(err, &p) && p.Status == http.StatusNotFound && p.Code == "not_found" && p.Field == ""
}

// List returns all objects of a kind, page by page.
func (s provisionServer) List(ctx context.Context, k *provision.Kind, set string) ([]*provision.Object, error) {
	query := url.Values{"limit": {"500"}, "order": {"asc"}}
	if set != "" {
		query.Set("metadata", provision.ManagedBy+":"+set)
	}
	var all []*provision.Object
	for {
		var page struct {
			Data       []json.RawMessage
			NextCursor string
		}
		if _, err := s.remote.json(ctx, remoteRequest{method: http.MethodGet, path: "/v1/" + k.Path + "?" + query.Encode()}, &page); err != nil {
			return nil, err
		}
		for _, doc := range page.Data {
			o, err := provision.NewObject(k, doc, "")
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
		if page.NextCursor == "" {
			return all, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

// Put creates or replaces an object.
func (s provisionServer) Put(ctx context.Context, k *provision.Kind, code string, body []byte, how provision.Put) (*provision.Outcome, error) {
	q := remoteRequest{method: http.MethodPut, path: objectPath(k, code), header: http.Header{}, body: body}
	if how.DryRun {
		q.path += "?dryRun=true"
	}
	if how.IfMatch != "" {
		q.header.Set("If-Match", how.IfMatch)
	}
	if how.IfNew {
		q.header.Set("If-None-Match", "*")
	}
	out := &provision.Outcome{}
	header, err := s.remote.json(ctx, q, &out.Doc)
	if err != nil {
		return nil, refusal(err)
	}
	out.Result = header.Get("Sallyport-Result")
	if changed := header.Get("Sallyport-Changed"); changed != "" {
		out.Changed = strings.Split(changed, ",")
	}
	return out, nil
}

// Delete removes an object.
func (s provisionServer) Delete(ctx context.Context, k *provision.Kind, code, etag string) (bool, error) {
	q := remoteRequest{method: http.MethodDelete, path: objectPath(k, code), header: http.Header{}}
	if etag != "" {
		q.header.Set("If-Match", etag)
	}
	_, err := s.remote.json(ctx, q, nil)
	if notThere(err) {
		return false, nil
	}
	return err == nil, refusal(err)
}

// refusal turns a problem with the object itself into the room's error for that. Others, such as a
// key that may not do it, stay what they are.
func refusal(err error) error {
	var p *problemError
	if !errors.As(err, &p) {
		return err
	}
	switch p.Status {
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge, http.StatusBadRequest:
	default:
		return err
	}
	r := &provision.Refusal{Status: p.Status, Code: p.Code, Detail: p.Detail, Owner: p.Owner, UsedBy: p.UsedBy}
	if r.Detail == "" {
		r.Detail = p.Title
	}
	for _, f := range p.Errors {
		r.Faults = append(r.Faults, provision.RefusalFault{Pointer: f.Pointer, Field: f.Field, Code: f.Code, Detail: f.Detail})
	}
	return r
}
