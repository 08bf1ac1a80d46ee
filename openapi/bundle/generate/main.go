// Command generate prints the specification of the whole public API, made of the files in openapi/. make gen writes it
// to openapi/bundle.yaml, which clients are generated from.
package main

import (
	"fmt"
	"os"

	"phonebill/openapi"
	"phonebill/openapi/bundle"
)

func main() {
	document, err := bundle.Public(openapi.Files)
	if err == nil {
		_, err = os.Stdout.Write(document)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
