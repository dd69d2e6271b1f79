//go:build tools

// This file names the command of OpenTofu, so that `go mod tidy` keeps its modules in go.mod and go.sum.
package main

import (
	_ "github.com/opentofu/opentofu/cmd/tofu"
)
