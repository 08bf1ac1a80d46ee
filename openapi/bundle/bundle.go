// Package bundle joins the specifications of package openapi into files that stand alone: one for each public service,
// and one of the whole public API, from which clients are generated. Comments and order of the sources are kept. Begin
// with Service and Public.
package bundle

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"phonebill/openapi"
)

// Services are the public specifications by the name under which each is served, in the order of the bundle.
func Services() []string { return []string{"auth", "bill", "product", "operations"} }

// kinds are the kinds of components in the order in which a bundle lists them.
var kinds = []string{"securitySchemes", "parameters", "headers", "requestBodies", "responses", "examples", "schemas"}

const sharedRef = "./" + openapi.Common + "#/components/"

// Service returns the specification of one public service as YAML, with every component of common.yaml that it refers
// to. It fails for an unknown name, and when service and common.yaml have different components of one name.
func Service(files fs.FS, name string) ([]byte, error) {
	if !slices.Contains(Services(), name) {
		return nil, fmt.Errorf("bundle: there is no public specification %q", name)
	}
	shared, err := read(files, openapi.Common)
	if err != nil {
		return nil, err
	}
	doc, err := read(files, name+".yaml")
	if err != nil {
		return nil, err
	}
	components := newComponents(shared)
	if err := components.add(doc); err != nil {
		return nil, fmt.Errorf("bundle: %s: %w", name, err)
	}
	set(doc.Content[0], "components", components.node())
	return encode(doc)
}

// Public returns the specification of the whole public API as YAML. It fails when two services have different
// components, operations or tags of one name, or different versions.
func Public(files fs.FS) ([]byte, error) {
	shared, err := read(files, openapi.Common)
	if err != nil {
		return nil, err
	}
	components := newComponents(shared)
	joined := joiner{taken: map[string]string{}}
	for _, name := range Services() {
		doc, err := read(files, name+".yaml")
		if err != nil {
			return nil, err
		}
		if err := components.add(doc); err != nil {
			return nil, fmt.Errorf("bundle: %s: %w", name, err)
		}
		if err := joined.add(name, doc.Content[0]); err != nil {
			return nil, fmt.Errorf("bundle: %s: %w", name, err)
		}
	}
	root := joined.document()
	set(root, "components", components.node())
	return encode(&yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}})
}

func read(files fs.FS, name string) (*yaml.Node, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("bundle: %s: %w", name, err)
	}
	expand(&doc)
	return &doc, nil
}

// expand puts what an alias stands for in its place, since names of anchors are those of one file.
func expand(n *yaml.Node) {
	for i, child := range n.Content {
		if child.Kind == yaml.AliasNode {
			n.Content[i] = copied(child.Alias)
		}
		expand(n.Content[i])
	}
	n.Anchor = ""
}

func copied(n *yaml.Node) *yaml.Node {
	out := *n
	out.Anchor = ""
	out.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		out.Content[i] = copied(child)
	}
	return &out
}

func encode(doc *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(doc); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return out.Bytes(), nil
}

// components collects what a bundle needs, by kind and name.
type components struct {
	shared *yaml.Node
	found  map[string]map[string]*yaml.Node
	order  map[string][]string
}

func newComponents(shared *yaml.Node) *components {
	return &components{
		shared: shared.Content[0], found: map[string]map[string]*yaml.Node{}, order: map[string][]string{},
	}
}

// add takes the document's own components and, one after the other, those that it refers to in common.yaml. References
// become local.
func (c *components) add(doc *yaml.Node) error {
	own := get(doc.Content[0], "components")
	for _, kind := range kinds {
		group := get(own, kind)
		for i := 0; group != nil && i < len(group.Content); i += 2 {
			if err := c.take(kind, group.Content[i].Value, group.Content[i+1]); err != nil {
				return err
			}
		}
	}
	return c.localise(doc)
}

func (c *components) take(kind, name string, value *yaml.Node) error {
	if have, ok := c.found[kind][name]; ok {
		if !equal(have, value) {
			return fmt.Errorf("%s/%s has two meanings", kind, name)
		}
		return nil
	}
	if c.found[kind] == nil {
		c.found[kind] = map[string]*yaml.Node{}
	}
	c.found[kind][name] = value
	c.order[kind] = append(c.order[kind], name)
	return nil
}

func (c *components) localise(n *yaml.Node) error {
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value != "$ref" || value.Kind != yaml.ScalarNode {
			continue
		}
		if rest, ok := strings.CutPrefix(value.Value, sharedRef); ok {
			value.Value = "#/components/" + rest
			if err := c.fetch(path.Dir(rest), path.Base(rest)); err != nil {
				return err
			}
		} else if !strings.HasPrefix(value.Value, "#/") {
			return fmt.Errorf("line %d: %s refers to another file than %s", value.Line, value.Value, openapi.Common)
		}
	}
	for _, child := range n.Content {
		if err := c.localise(child); err != nil {
			return err
		}
	}
	return nil
}

// fetch takes a component of common.yaml and all that it refers to there.
func (c *components) fetch(kind, name string) error {
	value := get(get(get(c.shared, "components"), kind), name)
	if value == nil || !slices.Contains(kinds, kind) {
		return fmt.Errorf("%s has no %s/%s", openapi.Common, kind, name)
	}
	if have, ok := c.found[kind][name]; ok && have == value {
		return nil
	}
	if err := c.take(kind, name, value); err != nil {
		return err
	}
	return c.fetchAll(value)
}

func (c *components) fetchAll(n *yaml.Node) error {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "$ref" {
			rest, ok := strings.CutPrefix(child.Value, "#/components/")
			if !ok {
				return fmt.Errorf("%s line %d: %s is no local reference", openapi.Common, child.Line, child.Value)
			}
			if err := c.fetch(path.Dir(rest), path.Base(rest)); err != nil {
				return err
			}
		}
		if err := c.fetchAll(child); err != nil {
			return err
		}
	}
	return nil
}

func (c *components) node() *yaml.Node {
	out := mapping()
	for _, kind := range kinds {
		if len(c.order[kind]) == 0 {
			continue
		}
		group := mapping()
		for _, name := range c.order[kind] {
			set(group, name, c.found[kind][name])
		}
		set(out, kind, group)
	}
	return out
}
