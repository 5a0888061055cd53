"""What can be wrong with a link, in words for people, and the signs by which an error of a library is known."""

from tocsin.said import Sayings

TABLE: dict[str, tuple[str, str]] = {
    "never": ("not connected yet", "尚未连接"),
    "expired": ("the broker's certificate has expired, or the clock of this machine is wrong",
                "消息服务器的证书已过期，或本机时钟有误"),
    "too_early": ("the broker's certificate is not valid yet: the clock of this machine is wrong",
                  "消息服务器的证书尚未生效：本机时钟有误"),
    "other_host": ('the broker\'s certificate is for another host than "{host}"',
                   "消息服务器的证书不属于“{host}”"),
    "untrusted": ("the broker's certificate is not signed by an authority that is trusted here: {trusted}",
                  "消息服务器的证书并非由本机信任的机构签发：{trusted}"),
    "own_ca": ('ca "{file}"', "ca 文件“{file}”"),
    "system_ca": ("the system's; give ca for one of your own", "只信任系统自带的机构；自建机构请设置 ca"),
    "ours_wanted": ("the broker wants a certificate of ours: give cert and cert_key",
                    "消息服务器要求本机证书：请设置 cert 和 cert_key"),
    "no_tls": ("no TLS is spoken on this port", "此端口不使用 TLS"),
    "ours_untrusted": ("the broker does not trust our certificate", "消息服务器不信任本机证书"),
    "ours_perhaps_wanted": ("the broker hung up in the TLS handshake: it may want a certificate of ours "
                            "(cert and cert_key)",
                            "消息服务器在 TLS 握手时挂断：它可能要求本机证书（cert 和 cert_key）"),
    "ours_perhaps_untrusted": ("the broker hung up in the TLS handshake: it may not trust our certificate",
                               "消息服务器在 TLS 握手时挂断：它可能不信任本机证书"),
    "refused": ("the broker refuses our user, password or certificate", "消息服务器拒绝本机的用户名、密码或证书"),
    "password": ("the broker refuses our user and password", "消息服务器拒绝本机的用户名和密码"),
    "nobody": ("nobody listens there", "该地址无人监听"),
    "no_way": ("there is no way to it: look at the network here", "无法到达：请检查本地网络"),
    "no_name": ('the name "{host}" is not found', "找不到主机名“{host}”"),
    "no_answer": ("it does not answer", "对方没有应答"),
    "broke": ("the connection broke", "连接中断"),
    "and": ("{words} ({text})", "{words}（{text}）"),
    "too_large": ("{size} bytes; at most {most}", "共 {size} 字节，上限为 {most}"),
    "too_large_there": ("{size} bytes, and {host} takes {most}", "共 {size} 字节，而 {host} 最多接受 {most}"),
    "unheard": ("the broker does not let us hear {topic}: {why}", "消息服务器不允许本机接收 {topic}：{why}"),
    "untaken": ("the broker refuses our messages: {why}", "消息服务器拒绝本机的消息：{why}"),
    "ca": ('ca: "{file}" {why}', "ca 文件“{file}”{why}"),
    "cert": ('cert: "{cert}" with cert_key: "{key}" {why}', "cert：“{cert}”与 cert_key：“{key}”{why}"),
    "apart": ("do not belong together ({why}); give a certificate and its key in PEM form",
              "不匹配（{why}）；请提供 PEM 格式的证书及其密钥"),
    "no_cert": ("cannot be read ({why}); give a certificate and its key in PEM form",
                "无法读取（{why}）；请提供 PEM 格式的证书及其密钥"),
    "no_ca": ("cannot be read ({why}); give certificates in PEM form", "无法读取（{why}）；请提供 PEM 格式的证书"),
    "hangs": ("the disk does not give the files for TLS", "存储设备无法读取 TLS 文件"),
    "unopened": ("cannot be opened: {why}", "无法打开：{why}"),
}
SIGNS = (
    ("certificate has expired", "expired"), ("not yet valid", "too_early"), ("IP address mismatch", "other_host"),
    ("Hostname mismatch", "other_host"), ("self-signed certificate", "untrusted"),
    ("unable to get local issuer", "untrusted"), ("certificate required", "ours_wanted"),
    ("WRONG_VERSION_NUMBER", "no_tls"), ("unknown ca", "ours_untrusted"), ("Not authorized", "refused"),
    ("Bad user name or password", "password"), ("Connection refused", "nobody"),
    ("Network is unreachable", "no_way"), ("No route to host", "no_way"), ("Name or service not known", "no_name"),
    ("name resolution", "no_name"), ("No address associated", "no_name"), ("timed out", "no_answer"),
    ("Disconnected during message iteration", "broke"),
)  # fmt: skip
# TLS 1.3 refuses a client's certificate after the handshake, and what we send meanwhile can lose us its alert
HUNG_UP = ("EOF occurred in violation of protocol", "Connection reset by peer", "Broken pipe")
say = Sayings(TABLE)
