// Package gen is what `make generate` writes from openapi.yaml: types, the strict server,
// servers that get their requests raw (hot, doors) and, in client, the client. This file alone is written by hand.
package gen

import _ "embed"

//go:generate go tool -modfile=../.ci/tools.mod oapi-codegen -config ../.ci/oapi-server.yaml ../openapi.yaml
//go:generate go tool -modfile=../.ci/tools.mod oapi-codegen -config ../.ci/oapi-hot.yaml ../openapi.yaml
//go:generate go tool -modfile=../.ci/tools.mod oapi-codegen -config ../.ci/oapi-doors.yaml ../openapi.yaml
//go:generate go tool -modfile=../.ci/tools.mod oapi-codegen -config ../.ci/oapi-client.yaml ../openapi.yaml
//go:generate cp ../openapi.yaml openapi.yaml

// Contract is openapi.yaml, for the binary to serve and to check requests against. It is a
// copy, since a file can be embedded from its own folder only; the code around it was made
// from the same text.
//
//go:embed openapi.yaml
var Contract []byte
