package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// The file that `tofu providers schema -json` prints, as far as it is read here.
type file struct {
	Schemas map[string]said `json:"provider_schemas"`
}

// What one provider says of itself, its resources and its data sources.
type said struct {
	Provider    entry            `json:"provider"`
	Resources   map[string]entry `json:"resource_schemas"`
	DataSources map[string]entry `json:"data_source_schemas"`
}

type entry struct {
	Version int64 `json:"version"`
	Block   block `json:"block"`
}

type block struct {
	Attributes map[string]attribute `json:"attributes"`
	Blocks     map[string]nested    `json:"block_types"`
}

type attribute struct {
	Type      json.RawMessage `json:"type"`
	Required  bool            `json:"required"`
	Optional  bool            `json:"optional"`
	Computed  bool            `json:"computed"`
	Sensitive bool            `json:"sensitive"`
}

type nested struct {
	Nesting string `json:"nesting_mode"`
	Block   block  `json:"block"`
	Min     int64  `json:"min_items"`
	Max     int64  `json:"max_items"`
}

// What the provider of this name says, from the file at path.
func read(path, name string) (said, error) {
	bytes, err := os.ReadFile(path)
	if err != nil {
		return said{}, err
	}
	var all file
	if err := json.Unmarshal(bytes, &all); err != nil {
		return said{}, fmt.Errorf("%s: %w", path, err)
	}
	of, ok := all.Schemas[name]
	if !ok {
		return said{}, fmt.Errorf("%s: expected the schema of %s, found none", path, name)
	}
	return of, nil
}

func (e entry) schema() (*tfprotov6.Schema, error) {
	block, err := e.Block.schema()
	return &tfprotov6.Schema{Version: e.Version, Block: block}, err
}

func (b block) schema() (*tfprotov6.SchemaBlock, error) {
	out := &tfprotov6.SchemaBlock{}
	for _, name := range sorted(b.Attributes) {
		it := b.Attributes[name]
		kind, err := tftypes.ParseJSONType(it.Type)
		if err != nil {
			return nil, fmt.Errorf("the type of %s: %w", name, err)
		}
		out.Attributes = append(out.Attributes, &tfprotov6.SchemaAttribute{
			Name: name, Type: kind, Required: it.Required, Optional: it.Optional, Computed: it.Computed, Sensitive: it.Sensitive,
		})
	}
	for _, name := range sorted(b.Blocks) {
		it := b.Blocks[name]
		inner, err := it.Block.schema()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		nesting, ok := map[string]tfprotov6.SchemaNestedBlockNestingMode{
			"single": tfprotov6.SchemaNestedBlockNestingModeSingle,
			"list":   tfprotov6.SchemaNestedBlockNestingModeList,
			"set":    tfprotov6.SchemaNestedBlockNestingModeSet,
		}[it.Nesting]
		if !ok {
			return nil, fmt.Errorf("%s: expected nesting_mode single, list or set, found %q", name, it.Nesting)
		}
		out.BlockTypes = append(out.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Block: inner, Nesting: nesting, MinItems: it.Min, MaxItems: it.Max,
		})
	}
	return out, nil
}

func sorted[T any](of map[string]T) []string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
