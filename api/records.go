package api

import (
	"context"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

func recordJSON(r *hook.Record) gen.Record {
	return gen.Record{
		Collection: r.Collection, Key: r.Key, Document: rawOrNull(r.Document), Version: r.Version,
		CreatedAt: wire.At(r.CreatedAt), UpdatedAt: wire.At(r.UpdatedAt),
	}
}

// ListCollections answers all collections.
func (h handlers) ListCollections(ctx context.Context, _ gen.ListCollectionsRequestObject) (gen.ListCollectionsResponseObject, error) {
	rows, err := h.s.services.Records.Collections(ctx, callOf(ctx).principal.Workspace)
	if err != nil {
		return nil, err
	}
	data := make([]gen.Collection, 0, len(rows))
	for _, c := range rows {
		data = append(data, gen.Collection{Name: c.Name, Records: c.Records})
	}
	return gen.ListCollections200JSONResponse{Body: gen.CollectionList{Data: data, NextCursor: orNull("")}}, nil
}

// ListRecords answers one page of records by key.
func (h handlers) ListRecords(ctx context.Context, r gen.ListRecordsRequestObject) (gen.ListRecordsResponseObject, error) {
	cl := callOf(ctx)
	ascending := r.Params.Order == nil || *r.Params.Order == gen.ListRecordsParamsOrderAsc
	prefix := ""
	if r.Params.Prefix != nil {
		prefix = *r.Params.Prefix
	}
	rows, more, err := h.s.services.Records.Records(ctx, cl.principal.Workspace, r.Collection, prefix, cl.after, cl.page.Limit, ascending)
	if err != nil {
		return nil, err
	}
	list := gen.RecordList{Data: make([]gen.Record, 0, len(rows)), NextCursor: orNull("")}
	for _, row := range rows {
		list.Data = append(list.Data, recordJSON(row))
	}
	if more && len(rows) > 0 {
		list.NextCursor = orNull(encodeCursor([]byte(rows[len(rows)-1].Key), cl.asked))
	}
	return gen.ListRecords200JSONResponse{Body: list}, nil
}

// GetRecord answers one record.
func (h handlers) GetRecord(ctx context.Context, r gen.GetRecordRequestObject) (gen.GetRecordResponseObject, error) {
	row, err := h.s.services.Records.Record(ctx, callOf(ctx).principal.Workspace, r.Collection, r.Key)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, hook.NotFound("record", r.Key)
	}
	if notModified(r.Params.IfNoneMatch, row.Version) {
		return gen.GetRecord304Response{Headers: gen.NotModifiedResponseHeaders{ETag: etag(row.Version)}}, nil
	}
	return gen.GetRecord200JSONResponse{Body: recordJSON(row), Headers: gen.GetRecord200ResponseHeaders{ETag: etag(row.Version)}}, nil
}

// PutRecord creates or replaces.
func (h handlers) PutRecord(ctx context.Context, r gen.PutRecordRequestObject) (gen.PutRecordResponseObject, error) {
	cl := callOf(ctx)
	how := writeOf(r.Params.DryRun, r.Params.IfMatch, r.Params.IfNoneMatch)
	row, err := h.s.services.RecordWriter.PutRecord(ctx, cl.principal, r.Collection, r.Key, cl.body, how)
	if err != nil {
		return nil, err
	}
	result := ptr(string(row.Change))
	if row.Change == hook.Created {
		return gen.PutRecord201JSONResponse{Body: recordJSON(row.Record), Headers: gen.PutRecord201ResponseHeaders{
			ETag: etag(row.Version), Location: h.s.location("collections", row.Collection, "records", row.Key), SallyportResult: result,
		}}, nil
	}
	return gen.PutRecord200JSONResponse{Body: recordJSON(row.Record), Headers: gen.PutRecord200ResponseHeaders{
		ETag: etag(row.Version), SallyportResult: result,
	}}, nil
}

// DeleteRecord removes a record.
func (h handlers) DeleteRecord(ctx context.Context, r gen.DeleteRecordRequestObject) (gen.DeleteRecordResponseObject, error) {
	err := h.s.services.RecordWriter.DeleteRecord(ctx, callOf(ctx).principal, r.Collection, r.Key, guardOf(r.Params.IfMatch, nil))
	if err != nil {
		return nil, err
	}
	return gen.DeleteRecord204Response{}, nil
}
