"""Wrong recipes by what is wrong with them, each with its findings: `line: message`."""

# ruff: noqa: E501 - a recipe and a finding each stay on one line

from __future__ import annotations

HEAD = "bundle: zone\ntitle: Updates\nnext_expected: 30 days\n"

WRONG: dict[str, tuple[str, list[str]]] = {
    "empty": ("", ["1: the file is empty"]),
    "a list": ("- a\n", ["1: the file is a list, must be a mapping"]),
    "text": ("hello\n", ["1: the file is 'hello', must be a mapping"]),
    "two documents": (HEAD + "documents: [a.pdf]\n---\nx: 1\n", ["5: a second document begins here"]),
    "a key twice": (
        HEAD + "documents: [a.pdf]\ntitle: Again\n",
        ["5: the key 'title' stands twice, first on line 2"],
    ),
    "an anchor": (HEAD + "documents: &d [a.pdf]\n", ["4: the anchor '&d' marks a value"]),
    "an alias": (
        HEAD + "documents: &d [a.pdf]\nfiles: *d\n",
        ["4: the anchor '&d' marks a value", "5: the alias '*d' stands for a value"],
    ),
    "a merge key": (
        HEAD + "documents: [a.pdf]\nansible:\n  <<: {playbooks: [a]}\n",
        ["6: the merge key '<<' copies values"],
    ),
    "a tag": (
        HEAD + "documents: !!python/object:os.system [a.pdf]\n",
        ["4: the tag '!!python/object:os.system' changes what a value is"],
    ),
    "a tab": (HEAD + "documents:\n\t- a.pdf\n", ["5: a tab stands where only spaces may"]),
    "an open bracket": (
        HEAD + "documents: [a.pdf\nfiles: [b]\n",
        ["4: a '[' is not closed, or a comma is missing"],
    ),
    "an open quote": (HEAD + "documents: ['a.pdf]\n", ["4: a quote that opens here is never closed"]),
    "a control character": (
        HEAD + "documents: [a\x07.pdf]\n",
        ["4: the character U+0007, which cannot be seen, stands in the file"],
    ),
    "text that runs backwards": (
        HEAD + "documents: [a\u202efdp.exe]\n",
        ["4: the character U+202E, which cannot be seen, stands in the file"],
    ),
    "too deep": (
        HEAD + "documents: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n",
        ["4: values are nested more than 10 deep"],
    ),
    "a directive": (
        "%YAML 1.1\n---\nbundle: zone\ntitle: Updates\nnext_expected: 30 days\ndocuments: [a]\n",
        ["1: a '%' directive stands before the document"],
    ),
    "no bundle": ("title: Updates\nnext_expected: 30 days\ndocuments: [a.pdf]\n", ["1: bundle is missing"]),
    "no content": (
        HEAD + "",
        [
            "1: a recipe has none of debian, python, images, files, disk_images, ansible, documents or vulnerabilities"
        ],
    ),
    "an unknown key": (HEAD + "documents: [a.pdf]\ndebain: []\n", ["5: a recipe has no key 'debain'"]),
    "a name with capitals": (
        "bundle: Zone Updates\ntitle: Updates\nnext_expected: 30 days\ndocuments: [a.pdf]\n",
        ["1: bundle is 'Zone Updates', must be a name of small letters, digits and '-'"],
    ),
    "weeks": (
        "bundle: zone\ntitle: Updates\nnext_expected: 4 weeks\ndocuments: [a.pdf]\n",
        ["3: next_expected is '4 weeks', must be a number of days up to 3650"],
    ),
    "a bare number of days": (
        "bundle: zone\ntitle: Updates\nnext_expected: 30\ndocuments: [a.pdf]\n",
        ["3: next_expected is the number 30, must be a number of days up to 3650"],
    ),
    "a title of two lines": (
        'bundle: zone\ntitle: "a\\nb"\nnext_expected: 30 days\ndocuments: [a.pdf]\n',
        ["2: title is 'a\nb', must be one line"],
    ),
    "an empty list": (HEAD + "documents: []\n", ["4: documents is an empty list"]),
    "no list": (HEAD + "documents: a.pdf\n", ["4: documents is 'a.pdf', must be a list"]),
    "a file twice": (
        HEAD + "documents:\n  - a.pdf\n  - a.pdf\n",
        ["6: file 2 of documents stands there twice"],
    ),
    "an address": (
        HEAD + "documents: [https://example.org/a.pdf]\n",
        ["4: 'https://example.org/a.pdf' is an address, and a recipe names packages and digests only"],
    ),
    "an index": (
        HEAD + "python:\n  - version: '3.11'\n    requirements:\n      - '--index-url https://example.org'\n",
        ["7: '--index-url https://example.org' is an address, and a recipe names packages and digests only"],
    ),
    "a pip option": (
        HEAD + "python:\n  - version: '3.11'\n    requirements:\n      - --pre\n",
        ["7: requirement 1 of requirements of target 1 of python is an option for pip"],
    ),
    "a requirement from git": (
        HEAD + "python:\n  - version: '3.11'\n    requirements: ['textual @ git+ssh://git@example/x']\n",
        [
            "6: 'textual @ git+ssh://git@example/x' is an address, and a recipe names packages and digests only"
        ],
    ),
    "a requirement by path": (
        HEAD + "python:\n  - version: '3.11'\n    requirements: ['textual @ ../textual.whl']\n",
        ["6: requirement 1 of requirements of target 1 of python names a package by an address or a path"],
    ),
    "a bare python version": (
        HEAD + "python:\n  - version: 3.11\n    requirements: [textual]\n",
        ["5: version of target 1 of python is the number 3.11, which YAML readers do not take for text"],
    ),
    "nothing for python": (
        HEAD + "python:\n  - version: '3.11'\n",
        ["5: target 1 of python has none of requirements, requirements_file or wheels"],
    ),
    "a suite with an address": (
        HEAD + "debian:\n  - suites: [http://deb.example/debian]\n    packages: [hello]\n",
        ["5: 'http://deb.example/debian' is an address, and a recipe names packages and digests only"],
    ),
    "no suites": (HEAD + "debian:\n  - packages: [hello]\n", ["5: suites of release 1 of debian is missing"]),
    "a package that is none": (
        HEAD + "debian:\n  - suites: [bookworm]\n    packages: ['Hello World']\n",
        [
            "6: package 1 of packages of release 1 of debian is 'Hello World', must be a package name, or name=version"
        ],
    ),
    "a package with a range": (
        HEAD + "debian:\n  - suites: [bookworm]\n    packages: ['hello>=2']\n",
        [
            "6: package 1 of packages of release 1 of debian is 'hello>=2', must be a package name, or name=version"
        ],
    ),
    "a package in two versions": (
        HEAD + "debian:\n  - suites: [bookworm]\n    packages: [hello=2.10-3, hello]\n",
        ["6: package hello stands there twice"],
    ),
    "an unquoted no": (
        HEAD + "debian:\n  - suites: [bookworm]\n    packages: [hello, no]\n",
        ["6: package 2 of packages of release 1 of debian is 'no', which YAML readers do not take for text"],
    ),
    "an upgrade of nothing": (
        HEAD + "debian:\n  - suites: [bookworm]\n    upgrade: true\n",
        ["6: upgrade has no base to upgrade"],
    ),
    "an upgrade that is yes": (
        HEAD + "debian:\n  - suites: [bookworm]\n    upgrade: yes\n",
        ["6: upgrade of release 1 of debian is 'yes', must be true or false"],
    ),
    "a priority that is none": (
        HEAD + "debian:\n  - suites: [bookworm]\n    packages: [hello]\n    base: {priorities: [requird]}\n",
        [
            "7: priority 1 of priorities of base of release 1 of debian is 'requird', must be required, important or standard"
        ],
    ),
    "a base that is empty": (
        HEAD + "debian:\n  - suites: [bookworm]\n    packages: [hello]\n    base: {}\n",
        ["7: base of release 1 of debian has none of priorities, packages or installed"],
    ),
    "a base twice": (
        HEAD
        + "debian:\n  - suites: [bookworm]\n    packages: [hello]\n    base:\n      installed: status\n      packages: [libc6]\n",
        ["8: base has a host's list and other packages, too"],
    ),
    "a release without packages": (
        HEAD + "debian:\n  - suites: [bookworm]\n    upgrade: false\n",
        ["5: this release names no packages and upgrades nothing"],
    ),
    "an image without a digest": (
        HEAD + "images:\n  - image: library/debian:12\n",
        ["5: image library/debian:12 has no digest"],
    ),
    "an image with half a digest": (
        HEAD + "images:\n  - image: library/debian@sha256:abcd\n",
        ["5: image of image 1 of images is 'library/debian@sha256:abcd', must be name[:tag]@sha256:digest"],
    ),
    "an image by transport": (
        HEAD + "images:\n  - image: docker://library/debian:12\n",
        ["5: 'docker://library/debian:12' is an address, and a recipe names packages and digests only"],
    ),
    "two images in one folder": (
        HEAD + "images:\n  - {image: 'a/base', layout: x}\n  - {image: 'b/base', layout: y}\n",
        ["6: image b/base has the folder of the image on line 5"],
    ),
    "an image in capitals": (
        HEAD + "images:\n  - image: Library/Debian\n    layout: x\n",
        ["5: image of image 1 of images has capital letters, which image names do not have"],
    ),
    "a digest that is none": (
        HEAD + "files:\n  - path: a.bin\n    sha256: ABC\n",
        ["6: sha256 of file 1 of files is 'ABC', must be a SHA-256 in 64 small hexadecimal digits"],
    ),
    "a digest of a glob": (
        HEAD
        + "files:\n  - path: '*.bin'\n    sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        ["6: a glob has one sha256"],
    ),
    "a glob with one name": (
        HEAD + "files:\n  - path: '*.bin'\n    as: nic.bin\n",
        ["6: a glob has one name in 'as'"],
    ),
    "a name and a folder": (
        HEAD + "files:\n  - path: nic.bin\n    as: nic.bin\n    under: firmware\n",
        ["7: a file has both 'as' and 'under'"],
    ),
    "a name that climbs": (
        HEAD + "files:\n  - path: nic.bin\n    as: ../nic.bin\n",
        ["6: as of file 1 of files has an empty segment, `.` or `..`"],
    ),
    "a name with a colon": (
        HEAD + "files:\n  - path: nic.bin\n    as: 'nic:1.bin'\n",
        ['6: as of file 1 of files has a character that is not printable or one of " * : < > ? \\ |'],
    ),
    "backslashes": (HEAD + "files: ['firmware\\nic.bin']\n", ["4: file 1 of files has a backslash"]),
    "a mapping for a path": (
        HEAD + "files:\n  - {path: {a: b}}\n",
        ["5: path of file 1 of files is a mapping, must be a path"],
    ),
    "a disk without a name": (
        HEAD + "disk_images:\n  - path: base.qcow2\n",
        ["5: as of disk image 1 of disk_images is missing"],
    ),
    "a media type that is none": (
        HEAD + "disk_images:\n  - {path: base.qcow2, as: base.raw, type: qcow2}\n",
        ["5: type of disk image 1 of disk_images is 'qcow2', must be a media type"],
    ),
    "empty ansible": (HEAD + "ansible: {}\n", ["4: ansible has none of collections or playbooks"]),
    "data of no kind": (
        HEAD + "vulnerabilities:\n  - {path: all.zip, kind: ovs}\n",
        ["5: kind of file 1 of vulnerabilities is 'ovs', must be osv or debian-tracker"],
    ),
    "an exception without a reason": (
        HEAD + "documents: [a.pdf]\nallow:\n  - {path: documents/a.pdf, value: x, because: ok}\n",
        ["6: because of exception 1 of allow is 'ok', must be a reason in some words"],
    ),
    "an inside that is an address": (
        HEAD + "documents: [a.pdf]\ninside: [http://registry.zone]\n",
        ["5: 'http://registry.zone' is an address, and a recipe names packages and digests only"],
    ),
    "an empty value": (HEAD + "documents:\n", ["4: documents is empty, must be a list"]),
}
