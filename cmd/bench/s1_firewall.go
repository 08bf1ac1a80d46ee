package main

import (
	"errors"

	"phonebill/cmd/internal/compose/gateway"
)

const firewallBuilt = false

func useFirewall(_ *gateway.Config, mode string) error {
	if mode != "off" {
		return errors.New("bench: built without the web application firewall")
	}
	return nil
}
