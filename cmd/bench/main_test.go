package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnknownScenariosAndArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, validate(nil, ""))
	require.NoError(t, validate(nil, "S1,S8"))
	require.ErrorContains(t, validate(nil, "S1,S9"), `no scenario "S9"`)
	require.ErrorContains(t, validate([]string{"S1"}, ""), `"S1" is no option`)
}
