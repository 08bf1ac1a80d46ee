package contract

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"phonebill/openapi"
)

// specs holds what Load has read. The loader keeps the parsed common.yaml, to which all specifications refer.
var specs = struct {
	sync.Mutex
	loader *openapi3.Loader
	byName map[string]*openapi3.T
}{loader: newLoader(), byName: map[string]*openapi3.T{}}

func newLoader() *openapi3.Loader {
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	loader.ReadFromURIFunc = func(_ *openapi3.Loader, location *url.URL) ([]byte, error) {
		return fs.ReadFile(openapi.Files, path.Clean(location.Path))
	}
	return loader
}

// Load returns the named specification of package openapi with all references between files resolved. A file is read
// once; all callers share the result and must not change it. Load is safe for concurrent use. It fails when there is
// no such file or when it is malformed.
func Load(name string) (*openapi3.T, error) {
	specs.Lock()
	defer specs.Unlock()
	if spec, ok := specs.byName[name]; ok {
		return spec, nil
	}
	spec, err := specs.loader.LoadFromURI(&url.URL{Path: name})
	if err != nil {
		return nil, fmt.Errorf("contract: load openapi/%s: %w", name, err)
	}
	specs.byName[name] = spec
	return spec, nil
}
