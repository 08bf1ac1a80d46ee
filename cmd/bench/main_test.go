package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnknownScenariosAndArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, validate(nil, ""))
	require.NoError(t, validate(nil, "S1,S8"))
	require.ErrorContains(t, validate(nil, "S1,X1"), `no scenario "X1"`)
	require.ErrorContains(t, validate([]string{"S1"}, ""), `"S1" is no option`)
}
