/*-------------------------------------------------------------------------
 *
 * keyring.c
 *		The keys: a JWK Set (RFC 7517) in a file that only the server reads.
 *
 * The parsed keyring is kept for the session and read again when the file's
 * identity, size or times change.  Keys are wiped when they are replaced; what
 * jsonb_in() copied while it parsed them is freed, not wiped, as PostgreSQL
 * has no hook for that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"
#include "utils/memutils.h"

#include "vault/base64url.h"
#include "base/domain.h"
#include "base/json.h"
#include "vault/keyring.h"

#define MAX_KID_LEN 255

#define HINT_CREATE "Bring it back from its backup, or set dbt_sources.keyring_file to where it is. The first one is made by rotate_encryption_key()."
#define HINT_KID "Give the key another \"kid\"; connections that were encrypted with it have to be stored anew."
#define HINT_MODE "Let only the server's operating system user read it: chmod 0600, or 0640 if root owns it."
#define HINT_DISK "Nothing that is stored is lost, and can be read again when the file can."
#define HINT_OWNER "It has to belong to the server's operating system user, or to root."
#define HINT_RESTORE "Restore the keyring file from its backup; it holds a JWK Set of \"oct\" keys with 64 bytes each."

char	   *keyring_file = NULL;

static Keyring *cached = NULL;
static char *cached_path = NULL;
static struct stat cached_stat;

/*
 * Raise what is wrong with the keyring.  SQLSTATE 55000.  Where the file is
 * concerns the administrator alone.
 */
void
ReportKeyringProblem(int elevel, const KeyringProblem *why)
{
	ereport(elevel,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("no usable keyring"),
			 errdetail("The keyring file %s.", why->problem),
			 errdetail_log("Keyring file \"%s\" %s.", keyring_file, why->problem),
			 errhint("%s", why->hint)));
}

static bool
Refuse(KeyringProblem *why, const char *problem, const char *hint)
{
	why->problem = problem;
	why->hint = hint;
	return false;
}

/*
 * As the server has it for the key of a certificate: what root owns, such as a
 * mounted secret, may be readable for the group, or else the server couldn't
 * read it.
 */
static bool
CheckFile(const struct stat *st, KeyringProblem *why)
{
	if (!S_ISREG(st->st_mode))
		return Refuse(why, "is not a regular file", HINT_RESTORE);
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return Refuse(why, "belongs to another operating system user", HINT_OWNER);
	if (st->st_mode & (st->st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO))
		return Refuse(why, "has group or world access", HINT_MODE);
	if (st->st_size > MAX_KEYRING_FILE_LEN)
		return Refuse(why, "is too large", HINT_RESTORE);
	return true;
}

static bool
RefuseErrno(KeyringProblem *why)
{
	int			error = errno;

	why->missing = error == ENOENT;
	return Refuse(why,
				  why->missing ? "does not exist" :
				  psprintf("could not be read: %s", strerror(error)),
				  why->missing ? HINT_CREATE :
				  error == EACCES || error == EPERM ? HINT_MODE : HINT_DISK);
}

/*
 * The whole file, palloc'd, or NULL with the reason in *why.
 */
char *
ReadKeyringFile(const char *path, Size *len, KeyringProblem *why)
{
	struct stat st;
	char	   *file = NULL;
	int			fd;

	/* not to block on a FIFO */
	if (stat(path, &st) != 0)
	{
		RefuseErrno(why);
		return NULL;
	}
	if (!CheckFile(&st, why))
		return NULL;
	fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (fd < 0)
	{
		RefuseErrno(why);
		return NULL;
	}
	if (fstat(fd, &st) != 0)
		RefuseErrno(why);
	else if (CheckFile(&st, why))
	{
		ssize_t		nread;

		file = palloc(st.st_size + 1);
		nread = read(fd, file, st.st_size);
		if (nread == st.st_size)
			*len = nread;
		else
		{
			if (nread < 0)
				RefuseErrno(why);
			else
				Refuse(why, "changed while it was read", "Try again.");
			explicit_bzero(file, st.st_size);
			pfree(file);
			file = NULL;
		}
	}
	CloseTransientFile(fd);
	return file;
}

/*
 * A kid has to be readable again in whatever an envelope's header has become, and
 * to pass through logs, shells and databases of all encodings.
 */
static bool
IsValidKid(const JsonbValue *kid)
{
	if (kid->val.string.len < 1 || kid->val.string.len > MAX_KID_LEN)
		return false;
	for (int i = 0; i < kid->val.string.len; i++)
	{
		if (kid->val.string.val[i] < 0x20 || kid->val.string.val[i] > 0x7e)
			return false;
	}
	return true;
}

static bool
ParseKey(JsonbValue *jwk, Key *key, MemoryContext cxt, KeyringProblem *why)
{
	JsonbContainer *object;
	JsonbValue	value;
	bytea	   *bytes;
	bool		right_len;

	if (!JsonIsObject(jwk))
		return Refuse(why, "has a key that is not an object", HINT_RESTORE);
	object = jwk->val.binary.data;
	if (!JsonFind(object, "kty", &value) || !JsonStringEquals(&value, "oct"))
		return Refuse(why, "has a key whose \"kty\" is not \"oct\"", HINT_RESTORE);
	if (!JsonFindString(object, "kid", &value))
		return Refuse(why, "has a key without \"kid\"", HINT_RESTORE);
	if (!IsValidKid(&value))
		return Refuse(why, "has a key whose \"kid\" is not 1 to 255 bytes of printable ASCII",
					  HINT_KID);
	key->kid = MemoryContextAlloc(cxt, value.val.string.len + 1);
	memcpy(key->kid, value.val.string.val, value.val.string.len);
	key->kid[value.val.string.len] = '\0';

	if (!JsonFindString(object, "k", &value) ||
		(bytes = DecodeBase64Url(value.val.string.val, value.val.string.len)) == NULL)
		return Refuse(why, "has a key whose \"k\" is not base64url", HINT_RESTORE);
	right_len = VARSIZE(bytes) - VARHDRSZ == AEAD_KEY_LEN;
	if (right_len)
		memcpy(key->bytes, VARDATA(bytes), AEAD_KEY_LEN);
	WipeBytea(bytes);
	if (!right_len)
		return Refuse(why, "has a key that is not 64 bytes long", HINT_RESTORE);
	return true;
}

static void
WipeKeys(void *keyring)
{
	explicit_bzero(((Keyring *) keyring)->keys, ((Keyring *) keyring)->nkeys * sizeof(Key));
}

/*
 * A keyring with room for n keys, in a context of its own, which wipes them when
 * it goes, be it with an error or a cancel.
 */
static Keyring *
MakeKeyring(int n)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "dbt_sources keyring",
											  ALLOCSET_SMALL_SIZES);
	Keyring    *keyring = MemoryContextAllocZero(cxt, offsetof(Keyring, keys) + n * sizeof(Key));
	MemoryContextCallback *wipe = MemoryContextAllocZero(cxt, sizeof(MemoryContextCallback));

	wipe->func = WipeKeys;
	wipe->arg = keyring;
	MemoryContextRegisterResetCallback(cxt, wipe);
	return keyring;
}

/*
 * Whether two keys have one kid; in order they are side by side, and there may be
 * thousands.
 */
static bool
HasKidTwice(const Keyring *keyring)
{
	char	  **kids = palloc(keyring->nkeys * sizeof(char *));
	bool		twice = false;

	for (int i = 0; i < keyring->nkeys; i++)
		kids[i] = keyring->keys[i].kid;
	qsort(kids, keyring->nkeys, sizeof(char *), pg_qsort_strcmp);
	for (int i = 1; i < keyring->nkeys; i++)
		twice = twice || strcmp(kids[i - 1], kids[i]) == 0;
	pfree(kids);
	return twice;
}

/*
 * The keys of a parsed JWK Set, or NULL with the reason in *why.
 */
static Keyring *
ReadKeys(Jsonb *set, KeyringProblem *why)
{
	JsonbValue	keys;
	JsonMembers members;
	JsonMember	jwk;
	Keyring    *keyring;
	int			n;

	if (!JB_ROOT_IS_OBJECT(set) || !JsonFind(&set->root, "keys", &keys) ||
		!JsonIsArray(&keys) ||
		(n = JsonContainerSize(keys.val.binary.data)) == 0)
	{
		Refuse(why, "is not a JWK Set with at least one key", HINT_RESTORE);
		return NULL;
	}

	keyring = MakeKeyring(n);
	members = JsonMembersOf(keys.val.binary.data);
	while (why->problem == NULL && NextJsonMember(&members, &jwk))
		(void) ParseKey(&jwk.value, &keyring->keys[keyring->nkeys++], GetMemoryChunkContext(keyring), why);
	if (why->problem == NULL && HasKidTwice(keyring))
		Refuse(why, "has two keys with one \"kid\"", HINT_RESTORE);
	if (why->problem != NULL)
	{
		WipeKeyring(keyring);
		return NULL;
	}
	return keyring;
}

/*
 * The keys of a JWK Set in a context of their own below cxt, or NULL with the
 * reason in *why.  RFC 7517, section 5.
 */
Keyring *
ParseKeyring(const char *text, Size len, MemoryContext cxt, KeyringProblem *why)
{
	Jsonb	   *set = JsonFromUtf8(text, len);
	Keyring    *volatile keyring = NULL;

	why->problem = NULL;
	if (set == NULL)
	{
		Refuse(why, "is not JSON", HINT_RESTORE);
		return NULL;
	}
	PG_TRY();
	{
		keyring = ReadKeys(set, why);
	}
	PG_FINALLY();
	{
		explicit_bzero(set, VARSIZE(set));
	}
	PG_END_TRY();
	/* whole only now, so that what is left of half a one goes with its caller */
	if (keyring != NULL)
		MemoryContextSetParent(GetMemoryChunkContext(keyring), cxt);
	return keyring;
}

/*
 * The same of a text that nobody needs afterwards.
 */
static Keyring *
ParseOnce(char *text, Size len, MemoryContext cxt, KeyringProblem *why)
{
	Keyring    *keyring;

	PG_TRY();
	{
		keyring = ParseKeyring(text, len, cxt, why);
	}
	PG_CATCH();
	{
		explicit_bzero(text, len);
		PG_RE_THROW();
	}
	PG_END_TRY();
	explicit_bzero(text, len);
	return keyring;
}

/*
 * Wipe and free the keys.
 */
void
WipeKeyring(Keyring *keyring)
{
	MemoryContextDelete(GetMemoryChunkContext(keyring));
}

const Key  *
FindKey(const Keyring *keyring, const char *kid, int len)
{
	for (int i = 0; i < keyring->nkeys; i++)
	{
		const Key  *key = &keyring->keys[i];

		if (strlen(key->kid) == (size_t) len && memcmp(key->kid, kid, len) == 0)
			return key;
	}
	return NULL;
}

static bool
SameFile(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
		a->st_size == b->st_size && a->st_mode == b->st_mode &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
		a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void
ForgetKeyring(void)
{
	if (cached != NULL)
		WipeKeyring(cached);
	cached = NULL;
	if (cached_path != NULL)
		pfree(cached_path);
	cached_path = NULL;
}

/*
 * The current keyring; valid until the next call.
 *
 * If there is none that can be used, the reason is reported at elevel (SQLSTATE
 * 55000), and NULL returned where that isn't an error.
 */
const Keyring *
GetKeyring(int elevel)
{
	struct stat st;
	KeyringProblem why = {0};
	char	   *file;
	Size		len;

	if (stat(keyring_file, &st) != 0)
	{
		RefuseErrno(&why);
		ForgetKeyring();
		ReportKeyringProblem(elevel, &why);
		return NULL;
	}
	if (cached != NULL && strcmp(cached_path, keyring_file) == 0 &&
		SameFile(&st, &cached_stat))
		return cached;

	/* read after stat, so that a change in between is seen the next time */
	ForgetKeyring();
	file = ReadKeyringFile(keyring_file, &len, &why);
	if (file != NULL)
	{
		cached_path = MemoryContextStrdup(TopMemoryContext, keyring_file);
		cached_stat = st;
		cached = ParseOnce(file, len, TopMemoryContext, &why);
	}
	if (cached == NULL)
		ReportKeyringProblem(elevel, &why);
	return cached;
}
