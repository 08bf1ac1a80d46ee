package portal

import (
	"net/http"
	"sync"

	"phonebill/openapi"
	"phonebill/openapi/bundle"
)

// specification serves /openapi.yaml, /openapi/SERVICE.yaml and both as .json.
func (c Config) specification(w http.ResponseWriter, r *http.Request) {
	if load, ok := specifications[r.URL.Path]; ok {
		a, err := load()
		if err != nil {
			c.Fail(w, r, err)
			return
		}
		a.serve(w, r)
		return
	}
	c.notFound(w, r)
}

// specifications are made when they are first asked for, by path.
var specifications = func() map[string]func() (*asset, error) {
	all := map[string]func() (*asset, error){}
	add := func(path string, load func() ([]byte, error)) {
		text := sync.OnceValues(load)
		all[path+".yaml"] = sync.OnceValues(func() (*asset, error) {
			document, err := text()
			if err != nil {
				return nil, err
			}
			return newAsset("application/yaml; charset=utf-8", document), nil
		})
		all[path+".json"] = sync.OnceValues(func() (*asset, error) {
			document, err := text()
			if err != nil {
				return nil, err
			}
			document, err = bundle.JSON(document)
			if err != nil {
				return nil, err
			}
			return newAsset("application/json", document), nil
		})
	}
	for _, service := range bundle.Services() {
		add("/openapi/"+service, func() ([]byte, error) { return bundle.Service(openapi.Files, service) })
	}
	add("/openapi", func() ([]byte, error) { return bundle.Public(openapi.Files) })
	return all
}()
