"""What clients do all day: each function is one host's way of using the domain."""

import domain
from lab import Lab
from topology import PLACES

DC1, DC2 = "dc1.lab.test", "dc2.lab.test"
PASSWORD = domain.PASSWORD
NETWRIX = f"LAB/netwrix%{PASSWORD}"
LDAP = ["ldapsearch", "-LLL", "-o", "nettimeout=4"]
NETWRIX_BIND = ["-D", "netwrix@lab.test", "-w", PASSWORD]
# A preamble of .NET framing to the address of AD web services.
ADWS_PREAMBLE = r"\x00\x01\x00\x01\x02\x02&net.tcp://dc1.lab.test:9389/ActiveDir\x03\x08\x0c"


def dns(lab: Lab, host: str):
    lab.act(host, "dns-srv", "dig", "+short", "+time=2", "+tries=2", "SRV", "_ldap._tcp.dc._msdcs.lab.test")
    lab.act(host, "dns-tcp", "dig", "+tcp", "+short", "+time=2", "+tries=1", "A", DC1)


def kerberos(lab: Lab, host: str, user: str):
    lab.act(host, "kinit", "sh", "-c", f"echo '{PASSWORD}' | kinit {user}@LAB.TEST")
    lab.act(host, "tgs", "kvno", f"ldap/{DC1}", f"cifs/{DC1}")


def cldap(lab: Lab, host: str):
    lab.probe(host, "cldap", lab.topology.address("dc1"))


def ldap_anonymous(lab: Lab, host: str):
    lab.act(host, "ldap-anon", *LDAP, "-x", "-H", f"ldap://{DC1}", "-b", "", "-s", "base", "defaultNamingContext")


def ldap(lab: Lab, host: str):
    ldap_anonymous(lab, host)
    search = ["-b", "dc=lab,dc=test", "(objectClass=user)", "sAMAccountName"]
    lab.act(host, "ldap-gssapi", *LDAP, "-N", "-Y", "GSSAPI", "-H", f"ldap://{DC1}", *search)
    base = ["-b", "dc=lab,dc=test", "-s", "base", "dn"]
    lab.act(host, "ldap-starttls", *LDAP, "-x", "-ZZ", "-H", f"ldap://{DC1}", *NETWRIX_BIND, *base)


def ldaps(lab: Lab, host: str):
    base = ["-b", "dc=lab,dc=test", "-s", "base", "dn"]
    lab.act(host, "ldaps", *LDAP, "-x", "-H", f"ldaps://{DC1}", *NETWRIX_BIND, *base)


def catalogue_plain(lab: Lab, host: str):
    lab.act(host, "gc", *LDAP, "-x", "-H", f"ldap://{DC1}:3268", "-b", "", "-s", "base", "defaultNamingContext")


def catalogue(lab: Lab, host: str):
    catalogue_plain(lab, host)
    search = ["-b", "", "(sAMAccountName=alice)", "dn"]
    lab.act(host, "gcs", *LDAP, "-x", "-H", f"ldaps://{DC1}:3269", *NETWRIX_BIND, *search)


def smb(lab: Lab, host: str):
    lab.act(host, "smb-krb", "smbclient", "--use-kerberos=required", f"//{DC1}/sysvol", "-c", "recurse;ls")
    lab.act(host, "smb-ntlm", "smbclient", "-U", NETWRIX, f"//{DC1}/netlogon", "-c", "ls")


def rpc(lab: Lab, host: str):
    dc1 = lab.topology.address("dc1")
    lab.together(
        lambda: lab.probe(host, "mapper", dc1),
        lambda: lab.probe(host, "samr", dc1, "netwrix", PASSWORD),
        lambda: lab.probe(host, "nrpc", dc1),
        lambda: lab.probe(host, "drs", dc1, "netwrix", PASSWORD),
    )


def rpc_client(lab: Lab, host: str):
    command = ["rpcclient", f"ncacn_ip_tcp:{DC1}[seal]", "-U", NETWRIX, "-c", "enumdomusers"]
    lab.act(host, "rpc-lsa", *command, timeout=8)


def replication_state(lab: Lab, host: str):
    command = ["samba-tool", "drs", "showrepl", DC1, "-U", domain.ADMINISTRATOR]
    lab.act(host, "drs-showrepl", *command, timeout=8)


def password(lab: Lab, host: str):
    lines = f"{PASSWORD}\\n{PASSWORD}\\n{PASSWORD}\\n"
    lab.act(host, "kpasswd", "sh", "-c", f"printf '{lines}' | kpasswd alice@LAB.TEST")


def ntp(lab: Lab, host: str):
    lab.probe(host, "ntp", lab.topology.address("dc1"))


def netbios(lab: Lab, host: str):
    lab.act(host, "nbns", "nmblookup", "-U", PLACES["dc1"].ip4, "--recursion", "LAB#1B")


def winrm(lab: Lab, host: str, server: str):
    address = lab.topology.address(server)
    url = f"http://[{address}]:5985/wsman" if ":" in address else f"http://{address}:5985/wsman"
    head = "Content-Type: application/soap+xml;charset=UTF-8"
    command = ["curl", "-sS", "-m", "5", "-i", "-X", "POST", "-H", head, "-d", "<s:Envelope/>", url]
    lab.act(host, f"winrm-{server}", *command)


def servers(lab: Lab):
    """Member server and controllers among themselves."""
    lab.act("srv1", "wbinfo-t", "wbinfo", "-t")
    lab.act("srv1", "wbinfo-u", "wbinfo", "-u")
    replicate = ["samba-tool", "drs", "replicate", DC2, DC1, "dc=lab,dc=test", "-U", domain.ADMINISTRATOR]
    lab.act("dc1", "repl", *replicate)


def workstation(lab: Lab, host: str):
    """Logs on, reads policies, changes a password, sets the clock."""
    dns(lab, host)
    cldap(lab, host)
    kerberos(lab, host, "alice")
    ldap(lab, host)
    ldaps(lab, host)
    catalogue(lab, host)
    smb(lab, host)
    rpc(lab, host)
    rpc_client(lab, host)
    password(lab, host)
    ntp(lab, host)
    if lab.topology.family == 4:
        netbios(lab, host)


def auditor(lab: Lab, host: str):
    """Reads directory, shares, RPC interfaces and remote management of everybody."""
    dns(lab, host)
    kerberos(lab, host, "netwrix")
    cldap(lab, host)
    ldap(lab, host)
    catalogue(lab, host)
    smb(lab, host)
    rpc(lab, host)
    rpc_client(lab, host)
    replication_state(lab, host)
    winrm(lab, host, "dc1")
    winrm(lab, host, "srv1")
    lab.probe(host, "tcp", lab.topology.address("dc1"), 9389, ADWS_PREAMBLE)
    lab.act(host, "smb-srv1", "smbclient", "-U", NETWRIX, "-L", f"//{lab.topology.address('srv1')}")


def round_of_services(lab: Lab, host: str):
    """A little of everything, where the scenario is about the capture and not about the services."""
    dns(lab, host)
    kerberos(lab, host, "netwrix")
    cldap(lab, host)
    ldap(lab, host)
    smb(lab, host)
    lab.together(
        lambda: lab.probe(host, "samr", lab.topology.address("dc1"), "netwrix", PASSWORD),
        lambda: winrm(lab, host, "dc2"),
        lambda: lab.probe(host, "tcp", lab.topology.address("dc1"), 3268),
    )
