package boot

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAProfileIsWrittenWhereItIsWanted(t *testing.T) {
	t.Parallel()
	none, err := profile("")
	require.NoError(t, err)
	require.NoError(t, none())

	dir := filepath.Join(t.TempDir(), "made")
	end, err := profile(dir)
	require.NoError(t, err)
	_, err = profile(dir)
	require.ErrorContains(t, err, CPUProfile, "one at a time")
	require.NoError(t, end())
	files, err := filepath.Glob(filepath.Join(dir, "*.pprof"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	info, err := os.Stat(files[0])
	require.NoError(t, err)
	require.Positive(t, info.Size())

	_, err = profile(filepath.Join(files[0], "below a file"))
	require.ErrorContains(t, err, CPUProfile)
}
