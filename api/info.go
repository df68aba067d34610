package api

import (
	"context"

	"sallyport/gen"
)

// handlers answers the generated interface; each noun has its file.
type handlers struct{ s *Server }

var _ gen.StrictServerInterface = handlers{}

// GetInfo tells the caller who it is and what answers.
func (h handlers) GetInfo(ctx context.Context, _ gen.GetInfoRequestObject) (gen.GetInfoResponseObject, error) {
	cl := callOf(ctx)
	base := h.s.workspaceBase(cl.principal.WorkspaceCode)
	return gen.GetInfo200JSONResponse{Body: gen.Info{
		Version: h.s.options.Version, BaseUrl: base, Workspace: cl.principal.WorkspaceCode,
		Role: gen.Role(cl.principal.Role), Platform: cl.principal.Platform,
		YourAddress: cl.address.client.String(), PeerAddress: cl.address.peer.String(), ForwardedBy: orNull(cl.address.by),
		Hold: h.s.hold(),
	}}, nil
}

func (s *Server) hold() bool { return s.options.Hold != nil && s.options.Hold() }
