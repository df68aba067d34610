package api

import (
	"context"

	"sallyport/gen"
	"sallyport/internal/hook"
)

// HoldDispatch stops all sending.
func (h handlers) HoldDispatch(ctx context.Context, _ gen.HoldDispatchRequestObject) (gen.HoldDispatchResponseObject, error) {
	held, err := h.s.services.Holder.SetHold(ctx, callOf(ctx).principal, true)
	if err != nil {
		return nil, err
	}
	return gen.HoldDispatch200JSONResponse{Body: dispatchState(held)}, nil
}

// ReleaseDispatch sends again.
func (h handlers) ReleaseDispatch(ctx context.Context, _ gen.ReleaseDispatchRequestObject) (gen.ReleaseDispatchResponseObject, error) {
	held, err := h.s.services.Holder.SetHold(ctx, callOf(ctx).principal, false)
	if err != nil {
		return nil, err
	}
	return gen.ReleaseDispatch200JSONResponse{Body: dispatchState(held)}, nil
}

func dispatchState(h hook.Hold) gen.DispatchState {
	return gen.DispatchState{Hold: h.On, Since: timeOrNull(&h.Since)}
}
