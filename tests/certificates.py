"""Certificates for tests, made by openssl: a CA, one for a node, and several for gateways, good ones and bad ones."""

import subprocess
from pathlib import Path

CA_CONFIG = """
[ca]
default_ca = it
[it]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = subject
x509_extensions = client
[subject]
commonName = supplied
[client]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth
"""

COMMANDS = """
key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc"
client="-addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=clientAuth"
for ca in ca other; do
    openssl req -x509 $key -days 30 -subj /CN=$ca -addext keyUsage=critical,keyCertSign -keyout $ca.key -out $ca.crt
done
openssl req -x509 -CA ca.crt -CAkey ca.key $key -days 30 -subj /CN=node -addext basicConstraints=critical,CA:FALSE \
    -addext extendedKeyUsage=serverAuth -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout node.key -out node.crt
openssl req -x509 -CA ca.crt -CAkey ca.key $key -days 30 -subj /CN=gateway $client -keyout gateway.key -out gateway.crt
openssl req -x509 -CA other.crt -CAkey other.key $key -days 30 -subj /CN=gateway $client \
    -keyout stranger.key -out stranger.crt
openssl req -new $key -subj /CN=gateway -keyout ended.key -out ended.csr
touch index.txt
echo 01 > serial
openssl ca -batch -config ca.cnf -cert ca.crt -keyfile ca.key -in ended.csr -out ended.crt -notext \
    -startdate 20200101000000Z -enddate 20210101000000Z
"""


def make_certificates(folder: Path) -> Path:
    """Makes ca, node, gateway (good), ended (expired), other (another CA) and stranger (a gateway's, of the other CA), each
    as NAME.crt and NAME.key; gives the folder.
    """
    (folder / "ca.cnf").write_text(CA_CONFIG)
    subprocess.run(["sh", "-euc", COMMANDS], cwd=folder, capture_output=True, timeout=60, check=True)
    return folder
