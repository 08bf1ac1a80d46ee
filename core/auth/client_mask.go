package auth

// MaskedIP returns the address without what distinguishes one household from another, as MaskIP says; empty when there
// is none.
func (c Client) MaskedIP() string {
	if c.IP == "" {
		return ""
	}
	return MaskIP(c.IP)
}
