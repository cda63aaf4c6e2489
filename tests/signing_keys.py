"""Keys and certificates to sign packages with, made by openssl as docs/signing.md tells users to: good ones and bad ones."""

import shutil
import subprocess
from pathlib import Path

from edge_runtime.signing.sign import SigningKey, sign
from tests.model_packages import LUNG

CONFIG = """
[ca]
default_ca = it
[it]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = subject
x509_extensions = signing
[subject]
commonName = supplied
[signing]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = codeSigning
"""

COMMANDS = """
for name in release other; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $name.pem
    openssl pkey -in $name.pem -pubout -out $name.pub
done
openssl ecparam -name secp521r1 -genkey -out old.pem
openssl pkey -in old.pem -pubout -out old.pub
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -aes-256-cbc -pass pass:hush -out locked.pem
openssl pkey -in locked.pem -passin pass:hush -pubout -out locked.pub
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
openssl pkey -in rsa.pem -pubout -out rsa.pub
openssl genpkey -algorithm ED25519 -out ed.pem
openssl pkey -in ed.pem -pubout -out ed.pub

key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc"
code="-addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=codeSigning"
authority="-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign"
for ca in ca foreign; do
    openssl req -x509 $key -days 30 -subj /CN=$ca -addext keyUsage=critical,keyCertSign -keyout $ca.key -out $ca.crt
done
openssl req -x509 -CA ca.crt -CAkey ca.key $key -days 30 -subj /CN=releases $code -keyout signer.key -out signer.crt
openssl req -x509 -CA foreign.crt -CAkey foreign.key $key -days 30 -subj /CN=releases $code -keyout stranger.key -out stranger.crt
openssl req -x509 -CA ca.crt -CAkey ca.key $key -days 30 -subj /CN=between $authority -keyout between.key -out between.crt
openssl req -x509 -CA between.crt -CAkey between.key $key -days 30 -subj /CN=deep $code -keyout deep.key -out deep.crt
openssl req -x509 -CA signer.crt -CAkey signer.key $key -days 30 -subj /CN=rogue $code -keyout rogue.key -out rogue.crt
openssl req -x509 -CA ca.crt -CAkey ca.key $key -days 30 -subj /CN=web -addext basicConstraints=critical,CA:FALSE \
    -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=serverAuth -keyout web.key -out web.crt
openssl req -new $key -subj /CN=ended -keyout ended.key -out ended.csr
touch index.txt
echo 01 > serial
openssl ca -batch -config ca.cnf -cert ca.crt -keyfile ca.key -in ended.csr -out ended.crt -notext \
    -startdate 20200101000000Z -enddate 20210101000000Z
printf 'hush\\n' > password
printf 'wrong\\n' > wrong-password
"""


def make_keys(folder: Path) -> Path:
    """Makes the keys release, other, old (P-521, by an old command), locked (P-384, password hush), rsa and ed, each as NAME.pem
    and NAME.pub; and as NAME.crt and NAME.key the authorities ca and foreign, with signer (of ca), deep (of ca, through
    between), web (a server's, of ca), ended (expired), rogue (issued by signer) and stranger (of foreign). Gives the folder.
    """
    (folder / "ca.cnf").write_text(CONFIG)
    subprocess.run(["sh", "-euc", COMMANDS], cwd=folder, capture_output=True, timeout=60, check=True)
    return folder


def by_key(keys: Path, name: str) -> SigningKey:
    """A key alone."""
    return SigningKey(keys / f"{name}.pem")


def by_certificate(keys: Path, name: str, *chain: str) -> SigningKey:
    """A key with its certificate."""
    return SigningKey(keys / f"{name}.key", certificate=keys / f"{name}.crt", chain=[keys / f"{one}.crt" for one in chain])


def lung_copy(folder: Path) -> Path:
    """The shipped lung package, not signed."""
    return Path(shutil.copytree(LUNG, folder / LUNG.name, ignore=shutil.ignore_patterns("model.sig")))


def signed_lung(folder: Path, by: SigningKey) -> Path:
    """The same, signed."""
    package = lung_copy(folder)
    sign(package, by)
    return package
