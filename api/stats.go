package api

import (
	"context"
	"math"
	"time"

	"github.com/oapi-codegen/nullable"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

// ageAt is how long something has been due at a time, in milliseconds; null if nothing is.
func ageAt(due *time.Time, now time.Time) nullable.Nullable[float64] {
	if due == nil {
		return nullable.NewNullNullable[float64]()
	}
	return nullable.NewNullableWithValue(ms(max(0, now.Sub(*due))))
}

// rounded is a rate for people to read.
func rounded(perSecond float64) float64 { return math.Round(perSecond*1000) / 1000 }

func workspaceStatsJSON(s *hook.WorkspaceStats, now time.Time) gen.WorkspaceStats {
	out := gen.WorkspaceStats{
		Pending: s.Pending, Held: s.Held, Running: s.Running, Exact: s.Exact, OldestPendingAgeMs: ageAt(s.OldestDue, now),
		AcceptedPerSecond: rounded(s.Accepted), CreatedPerSecond: rounded(s.Created), AttemptsPerSecond: rounded(s.Attempts),
		FinishedPerSecond: rounded(s.Finished), FailedPerSecond: rounded(s.Failed),
	}
	out.Requests.AcceptedPerSecond, out.Requests.RefusedPerSecond = rounded(s.RequestsAccepted), rounded(s.RequestsRefused)
	return out
}

func targetStatsJSON(t *hook.TargetStat, now time.Time) gen.TargetStats {
	out := gen.TargetStats{
		Target: gen.Target{Kind: string(t.Kind), Id: t.Target, Code: t.Code, Name: t.Name},
		State:  gen.TargetStatsState(t.State), StateReason: orNull(string(t.Reason)), Running: t.Claimed, OldestPendingAgeMs: ageAt(t.OldestDue, now),
	}
	if t.Active {
		out.Pending = t.Waiting
	} else {
		out.Held = t.Waiting
	}
	return out
}

// GetStats answers how the caller's workspace fares.
func (h handlers) GetStats(ctx context.Context, _ gen.GetStatsRequestObject) (gen.GetStatsResponseObject, error) {
	s, err := h.s.services.Stats.Of(ctx, callOf(ctx).principal.Workspace)
	if err != nil {
		return nil, err
	}
	w := workspaceStatsJSON(&s.WorkspaceStats, s.AsOf)
	out := gen.Stats{
		AsOf: wire.At(s.AsOf), Pending: w.Pending, Held: w.Held, Running: w.Running, Exact: w.Exact, OldestPendingAgeMs: w.OldestPendingAgeMs,
		AcceptedPerSecond: w.AcceptedPerSecond, CreatedPerSecond: w.CreatedPerSecond, AttemptsPerSecond: w.AttemptsPerSecond,
		FinishedPerSecond: w.FinishedPerSecond, FailedPerSecond: w.FailedPerSecond, Failed: s.Failed,
		TopTargets: make([]gen.TargetStats, 0, len(s.Top)),
	}
	out.Requests = w.Requests
	for i := range s.Top {
		out.TopTargets = append(out.TopTargets, targetStatsJSON(&s.Top[i], s.AsOf))
	}
	return gen.GetStats200JSONResponse{Body: out}, nil
}

// addStats says of each workspace of a list how it fares.
func (s *Server) addStats(ctx context.Context, list []gen.Workspace) error {
	ids := make([]hook.ID, len(list))
	for i := range list {
		ids[i] = list[i].Id
	}
	stats, err := s.services.Stats.Workspaces(ctx, ids)
	if err != nil {
		return err
	}
	for i := range list {
		st := stats[list[i].Id]
		list[i].Stats = ptr(workspaceStatsJSON(&st, st.AsOf))
	}
	return nil
}
