package auth

import (
	"slices"

	"phonebill/core/fault"
)

// Tier says how many requests an account may make (S-RATE-LIMIT, S-TIERS).
type Tier string

// The tiers. MVNO_AP is that of service credentials too; BENCH has no limit and exists in development alone.
const (
	TierDefault Tier = "DEFAULT"
	TierVIP     Tier = "VIP"
	TierMVNOAP  Tier = "MVNO_AP"
	TierBench   Tier = "BENCH"
)

// AllTiers lists every tier in the order in which it is shown.
func AllTiers() []Tier { return []Tier{TierDefault, TierVIP, TierMVNOAP, TierBench} }

// ParseTier accepts the name of a tier; anything else is a VALIDATION_ERROR on tier.
func ParseTier(s string) (Tier, error) {
	if t := Tier(s); slices.Contains(AllTiers(), t) {
		return t, nil
	}
	return "", fault.InvalidField("tier", "DEFAULT, VIP, MVNO_AP, BENCH 중에서 선택해야 합니다")
}

// OrDefault returns the tier by its name: an empty one is DEFAULT, as in tokens of releases before there were tiers.
func (t Tier) OrDefault() Tier {
	if t == "" {
		return TierDefault
	}
	return t
}

// Short returns the tier as accounts and tokens have it: DEFAULT is empty.
func (t Tier) Short() Tier {
	if t == TierDefault {
		return ""
	}
	return t
}
