package recording

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tollgate/tollgate/internal/secret"
)

// A sealed file is encrypted in chunks, so that it can be written as a call runs,
// read from any place, and read up to its last whole chunk when its writer died:
//
//	magic (8) key id (8) salt (16), then chunks of 4096 bytes and a last one of
//	0 to 4095, each encrypted with AES-256-GCM and so 16 bytes longer.
//
// The key of a file is HKDF-SHA256 of the operator's key and the file's salt. The
// nonce of a chunk is its number and whether it is the last: chunks cannot be
// moved, and a file that was cut off is told from a whole one (the STREAM
// construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
const (
	sealMagic       = "TGSEAL1\n"
	sealHeaderBytes = 32
	sealChunk       = 4096
	sealOverhead    = 16
	sealedChunk     = sealChunk + sealOverhead
	sealKeyBytes    = 32
)

// Errors of sealed files.
var (
	ErrNoKey   = errors.New("the file was encrypted with a key that is not in the key file")
	ErrDamaged = errors.New("the encrypted file is damaged")
)

// Keys are the keys that recordings are encrypted with: the first for new files,
// all of them for reading.
type Keys struct {
	all [][]byte
	ids [][8]byte
}

// LoadKeys reads a key file: one key a line, 32 bytes in base64, as printed by
// "openssl rand -base64 32". Empty lines and lines that begin with # are left out.
// It refuses a file that others can read.
func LoadKeys(path string) (*Keys, error) {
	text, err := secret.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("recording key file: %w", err)
	}
	return parseKeys(string(text))
}

func parseKeys(text string) (*Keys, error) {
	keys, err := secret.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("recording key file: %w", err)
	}
	k := &Keys{}
	for _, key := range keys {
		digest := sha256.Sum256(append([]byte("tollgate recording key id"), key...))
		k.all, k.ids = append(k.all, key), append(k.ids, [8]byte(digest[:8]))
	}
	return k, nil
}

// aead is the cipher of one file.
func (k *Keys) aead(id, salt []byte) (cipher.AEAD, error) {
	if k == nil {
		return nil, ErrNoKey
	}
	for i := range k.ids {
		if !bytes.Equal(k.ids[i][:], id) {
			continue
		}
		key, err := hkdf.Key(sha256.New, k.all[i], salt, "tollgate recording", sealKeyBytes)
		if err != nil {
			return nil, fmt.Errorf("derive the key of a recording: %w", err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("cipher of a recording: %w", err)
		}
		return cipher.NewGCM(block)
	}
	return nil, ErrNoKey
}

func sealNonce(chunk int64, last bool) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint64(nonce, uint64(chunk))
	if last {
		nonce[11] = 1
	}
	return nonce
}

// sealer encrypts what is written to it. A chunk is written on as soon as it is
// full; Close writes the last one, and does not close the file below.
type sealer struct {
	to    io.Writer
	aead  cipher.AEAD
	chunk int64
	plain []byte
	out   []byte
}

func (k *Keys) seal(to io.Writer) (*sealer, error) {
	head := append([]byte(sealMagic), k.ids[0][:]...)
	head = append(head, make([]byte, 16)...)
	salt := head[16:]
	_, _ = rand.Read(salt) // never fails
	aead, err := k.aead(k.ids[0][:], salt)
	if err != nil {
		return nil, err
	}
	if _, err := to.Write(head); err != nil {
		return nil, err
	}
	return &sealer{to: to, aead: aead, plain: make([]byte, 0, sealChunk)}, nil
}

func (s *sealer) Write(data []byte) (n int, err error) {
	s.out = s.out[:0]
	for len(data) > 0 {
		part := data[:min(len(data), sealChunk-len(s.plain))]
		s.plain = append(s.plain, part...)
		data = data[len(part):]
		n = n + len(part)
		if len(s.plain) == sealChunk {
			s.out = s.aead.Seal(s.out, sealNonce(s.chunk, false), s.plain, nil)
			s.plain, s.chunk = s.plain[:0], s.chunk+1
		}
	}
	if len(s.out) > 0 {
		_, err = s.to.Write(s.out)
	}
	return n, err
}

func (s *sealer) Close() error {
	_, err := s.to.Write(s.aead.Seal(nil, sealNonce(s.chunk, true), s.plain, nil))
	return err
}

// unsealer reads a sealed file, from any place.
type unsealer struct {
	from   io.ReadSeeker
	aead   cipher.AEAD
	size   int64 // of the plain text
	chunks int64
	cutOff bool  // the last chunk was never written
	at     int64 // of the plain text, where Read continues
	below  int64 // chunk at which from stands
	loaded int64 // chunk that plain holds, or -1
	sealed []byte
	plain  []byte
}

// unseal opens a sealed file of a number of bytes. With partial it reads what there is
// of a file that was never closed.
func (k *Keys) unseal(from io.ReadSeeker, size int64, partial bool) (*unsealer, error) {
	head := make([]byte, sealHeaderBytes)
	if _, err := io.ReadFull(from, head); err != nil || string(head[:8]) != sealMagic {
		return nil, fmt.Errorf("%w: no header", ErrDamaged)
	}
	aead, err := k.aead(head[8:16], head[16:])
	if err != nil {
		return nil, err
	}
	u := &unsealer{from: from, aead: aead, loaded: -1, sealed: make([]byte, sealedChunk),
		plain: make([]byte, 0, sealChunk)}
	full, rest := (size-sealHeaderBytes)/sealedChunk, (size-sealHeaderBytes)%sealedChunk
	u.size, u.chunks = full*sealChunk, full
	if rest >= sealOverhead {
		u.size, u.chunks = u.size+rest-sealOverhead, full+1
		err := u.load(full)
		if err == nil {
			return u, nil
		}
		if !partial {
			return nil, err
		}
		u.size = full * sealChunk // half a chunk, or one that was not written whole
	} else if !partial {
		return nil, fmt.Errorf("%w: truncated", ErrDamaged)
	}
	u.cutOff, u.chunks = true, full
	return u, nil
}

// load decrypts a chunk into plain.
func (u *unsealer) load(chunk int64) error {
	if u.loaded == chunk {
		return nil
	}
	if u.below != chunk {
		if _, err := u.from.Seek(sealHeaderBytes+chunk*sealedChunk, io.SeekStart); err != nil {
			return err
		}
		u.below = chunk
	}
	last := !u.cutOff && chunk == u.chunks-1
	want := int64(sealedChunk)
	if last {
		want = u.size - chunk*sealChunk + sealOverhead
	}
	if _, err := io.ReadFull(u.from, u.sealed[:want]); err != nil {
		u.below = -1
		return fmt.Errorf("read chunk %d: %w", chunk, err)
	}
	u.below = chunk + 1
	plain, err := u.aead.Open(u.plain[:0], sealNonce(chunk, last), u.sealed[:want], nil)
	if err != nil {
		u.loaded = -1
		return fmt.Errorf("%w: chunk %d", ErrDamaged, chunk)
	}
	u.plain, u.loaded = plain, chunk
	return nil
}

func (u *unsealer) Read(dst []byte) (int, error) {
	if u.at >= u.size {
		return 0, io.EOF
	}
	if err := u.load(u.at / sealChunk); err != nil {
		return 0, err
	}
	n := copy(dst, u.plain[u.at%sealChunk:])
	u.at += int64(n)
	return n, nil
}

// Seek implements io.Seeker.
func (u *unsealer) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += u.at
	case io.SeekEnd:
		offset += u.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	u.at = offset
	return offset, nil
}
