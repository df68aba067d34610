package gen

//go:generate go tool -modfile=../.ci/tools.mod oapi-codegen -config ../.ci/oapi-server.yaml ../openapi.yaml
//go:generate go tool -modfile=../.ci/tools.mod oapi-codegen -config ../.ci/oapi-hot.yaml ../openapi.yaml
//go:generate go tool -modfile=../.ci/tools.mod oapi-codegen -config ../.ci/oapi-client.yaml ../openapi.yaml
