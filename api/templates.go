package api

import (
	"context"
	"encoding/json"
	"time"

	"sallyport/gen"
)

// RenderTemplate evaluates a template that somebody tries.
func (h handlers) RenderTemplate(ctx context.Context, _ gen.RenderTemplateRequestObject) (gen.RenderTemplateResponseObject, error) {
	cl := callOf(ctx)
	if err := validateBody(h.s.contract.operations["RenderTemplate"].body, cl.body); err != nil {
		return nil, err
	}
	in := struct {
		Template string          `json:"template"`
		Context  json.RawMessage `json:"context"` // as it came: the order of keys counts
		Now      *time.Time      `json:"now"`
		Timezone string          `json:"timezone"`
	}{Timezone: "UTC"}
	if err := json.Unmarshal(cl.body, &in); err != nil {
		return nil, err
	}
	now := time.Now()
	if in.Now != nil {
		now = *in.Now
	}
	out, err := h.s.services.Templates.Render(ctx, in.Template, in.Context, now, in.Timezone)
	if err != nil {
		return nil, err
	}
	return gen.RenderTemplate200JSONResponse{Body: gen.TemplateOutput{Output: out}}, nil
}
