package auth

// MaskedIP is the address without what tells one household from another, as MaskIP says; empty when there is none.
func (c Client) MaskedIP() string {
	if c.IP == "" {
		return ""
	}
	return MaskIP(c.IP)
}
