// Package sallyport holds the contract, openapi.yaml, for the binary to serve and
// to check requests against.
package sallyport

import _ "embed"

// Contract is openapi.yaml as it was when the binary was built.
//
//go:embed openapi.yaml
var Contract []byte
