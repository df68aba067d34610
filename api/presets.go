package api

import (
	"context"
	"slices"

	"github.com/oapi-codegen/nullable"

	"sallyport/gen"
	"sallyport/internal/hook"
)

func presetJSON(p *hook.Preset) gen.Preset {
	out := gen.Preset{
		Name: p.Name, Title: p.Title, Description: p.Description, Documentation: p.Documentation,
		Secret: gen.PresetSecret{Name: p.Secret.Name, Where: p.Secret.Where}, HandshakeSecret: nullable.NewNullNullable[gen.PresetSecret](),
		Verifications: make([]gen.SignatureVerification, 0, len(p.Verifications)), Handshakes: []string{},
		EventHeader: orNull(p.EventHeader), Dedupe: orNull(p.DedupeKey), Operator: p.Operator,
	}
	if s := p.HandshakeSecret; s != nil {
		out.HandshakeSecret = nullable.NewNullableWithValue(gen.PresetSecret{Name: s.Name, Where: s.Where})
	}
	for i := range p.Verifications {
		out.Verifications = append(out.Verifications, verificationJSON(&p.Verifications[i]))
	}
	for i := range p.Handshakes {
		if method := p.Handshakes[i].Method; !slices.Contains(out.Handshakes, method) {
			out.Handshakes = append(out.Handshakes, method)
		}
	}
	return out
}

func verificationJSON(v *hook.Verification) gen.SignatureVerification {
	return gen.SignatureVerification{
		Algorithm: given(gen.SignatureVerificationAlgorithm(v.Algorithm)), Header: given(v.Header), Query: given(v.Query), BodyField: given(v.BodyField),
		Encoding: given(gen.SignatureVerificationEncoding(v.Encoding)), Prefix: given(v.Prefix), Separator: given(v.Separator), Content: given(v.Content),
		Key: given(gen.SignatureVerificationKey(v.Key)), IdHeader: given(v.IDHeader), TimestampHeader: given(v.TimestampHeader),
		TimestampField: given(v.TimestampField), TimestampPrefix: given(v.TimestampPrefix),
		TimestampUnit: given(gen.SignatureVerificationTimestampUnit(v.TimestampUnit)), Tolerance: durationGiven(v.Tolerance), BodySHA256Query: given(v.BodySHA256Query),
	}
}

// ListPresets answers all presets.
func (h handlers) ListPresets(context.Context, gen.ListPresetsRequestObject) (gen.ListPresetsResponseObject, error) {
	data := []gen.Preset{}
	for _, p := range h.s.services.Presets.All() {
		data = append(data, presetJSON(p))
	}
	return gen.ListPresets200JSONResponse{Body: gen.PresetList{Data: data, NextCursor: orNull("")}}, nil
}

// GetPreset answers one preset.
func (h handlers) GetPreset(_ context.Context, r gen.GetPresetRequestObject) (gen.GetPresetResponseObject, error) {
	for _, p := range h.s.services.Presets.All() {
		if p.Name == r.Preset {
			return gen.GetPreset200JSONResponse{Body: presetJSON(p)}, nil
		}
	}
	return nil, hook.Errorf(hook.KindNotFound, "there is no preset %q; GET /v1/presets lists those there are", r.Preset)
}
