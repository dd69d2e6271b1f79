// A provider for OpenTofu that knows the schemas of others and nothing else. It stands in the place of the clouds' providers,
// which cannot be had where the tests run, so that the real `tofu validate` and `tofu plan` check what Nimbus writes: every
// resource, attribute, block, type and reference. It does not check what a cloud's own code would (a region that there is, a
// size that there is), and it makes nothing: `tofu apply` is refused.
//
// The program is named terraform-provider-NAME, and NIMBUS_SCHEMAS is the directory of NAME.json, in the form that
// `tofu providers schema -json` prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	short := strings.TrimPrefix(filepath.Base(os.Args[0]), "terraform-provider-")
	name := "hashicorp/" + short
	of, err := read(filepath.Join(os.Getenv("NIMBUS_SCHEMAS"), short+".json"), name)
	if err != nil {
		return err
	}
	served, err := newProvider(of)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return tf6server.Serve(name, func() tfprotov6.ProviderServer { return served })
}

// What is not served below (functions, imports, moves) is not used by what Nimbus writes: the embedded interface is nil, and
// tofu names the call that ended this program.
type provider struct {
	tfprotov6.ProviderServer
	said    said
	schemas *tfprotov6.GetProviderSchemaResponse
}

func newProvider(of said) (*provider, error) {
	out := &tfprotov6.GetProviderSchemaResponse{
		ServerCapabilities: &tfprotov6.ServerCapabilities{},
		ResourceSchemas:    map[string]*tfprotov6.Schema{},
		DataSourceSchemas:  map[string]*tfprotov6.Schema{},
	}
	var err error
	if out.Provider, err = of.Provider.schema(); err != nil {
		return nil, err
	}
	for name, entry := range of.Resources {
		if out.ResourceSchemas[name], err = entry.schema(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, entry := range of.DataSources {
		if out.DataSourceSchemas[name], err = entry.schema(); err != nil {
			return nil, fmt.Errorf("data %s: %w", name, err)
		}
	}
	return &provider{said: of, schemas: out}, nil
}

func (p *provider) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	return nil, errors.New("asked by no version of tofu that is used here")
}

func (p *provider) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	return p.schemas, nil
}

func (p *provider) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (p *provider) ValidateProviderConfig(_ context.Context, asked *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: asked.Config}, nil
}

func (p *provider) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

func (p *provider) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

// The schema was compared by tofu itself before it asks.
func (p *provider) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (p *provider) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

// A resource that is not there yet: what its provider computes is not known.
func (p *provider) PlanResourceChange(_ context.Context, asked *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	schema, of := p.schemas.ResourceSchemas[asked.TypeName], p.said.Resources[asked.TypeName].Block
	planned, err := completed(schema, of, asked.ProposedNewState, func(_ string, kind tftypes.Type) tftypes.Value {
		return tftypes.NewValue(kind, tftypes.UnknownValue)
	})
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: planned}, err
}

// A data source answers with samples of what its provider would have looked up.
func (p *provider) ReadDataSource(_ context.Context, asked *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	schema, of := p.schemas.DataSourceSchemas[asked.TypeName], p.said.DataSources[asked.TypeName].Block
	state, err := completed(schema, of, asked.Config, sample)
	return &tfprotov6.ReadDataSourceResponse{State: state}, err
}

func (p *provider) ApplyResourceChange(context.Context, *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return nil, errors.New("this provider knows schemas alone, and makes nothing")
}

// The value with everything that its provider computes and that nobody gave.
func completed(schema *tfprotov6.Schema, of block, given *tfprotov6.DynamicValue, compute func(string, tftypes.Type) tftypes.Value) (*tfprotov6.DynamicValue, error) {
	kind := schema.ValueType()
	value, err := given.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	if value.IsNull() {
		return given, nil
	}
	var fields map[string]tftypes.Value
	if err := value.As(&fields); err != nil {
		return nil, err
	}
	for name, it := range of.Attributes {
		if field := fields[name]; it.Computed && field.IsKnown() && field.IsNull() {
			fields[name] = compute(name, field.Type())
		}
	}
	out, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, fields))
	return &out, err
}

func sample(name string, kind tftypes.Type) tftypes.Value {
	switch kind := kind.(type) {
	case tftypes.List:
		return tftypes.NewValue(kind, []tftypes.Value{sample(name+"-a", kind.ElementType), sample(name+"-b", kind.ElementType)})
	case tftypes.Set:
		return tftypes.NewValue(kind, []tftypes.Value{sample(name+"-a", kind.ElementType)})
	}
	switch {
	case kind.Is(tftypes.String):
		return tftypes.NewValue(kind, "sample-"+name)
	case kind.Is(tftypes.Number):
		return tftypes.NewValue(kind, 1)
	case kind.Is(tftypes.Bool):
		return tftypes.NewValue(kind, true)
	}
	return tftypes.NewValue(kind, nil)
}
