//! `pcaps/scan`: many failures that are one thing.

use crate::craft::flood::flood;
use crate::craft::host::CLIENT;
use crate::craft::host::CLIENT2;
use crate::craft::host::DC1;
use crate::craft::host::GATEWAY;
use crate::craft::host::SERVER;
use crate::craft::play::at_work;
use crate::craft::play::ending;
use crate::craft::play::ldap;
use crate::craft::scene::Scene;
use crate::craft::tcp;
use crate::shelf::Capture;
use crate::shelf::Folder;

pub(crate) const FOLDER: Folder = Folder {
    name: "scan",
    about: "Scans and a flood, each with a smaller twin that is none.",
    captures: &[
        Capture::scene(
            "ports_40.pcap",
            "a client tries 40 closed ports of one server within 2 s, all refused",
            "scan: one finding, no blocked rows",
            |scene| ports(scene, 40),
        ),
        Capture::scene("ports_12.pcap", "the same with 12 ports", "no scan: 12 refused flows", |scene| {
            ports(scene, 12);
        }),
        Capture::scene(
            "sweep_445.pcap",
            "a client tries port 445 of 40 addresses within 2 s; every third is told unreachable, the others are silent",
            "scan: one finding, no blocked rows",
            |scene| sweep(scene, 40),
        ),
        Capture::scene("sweep_445_small.pcap", "the same with 9 addresses", "no scan: 9 failed flows", |scene| {
            sweep(scene, 9);
        }),
        Capture::bytes(
            "syn_flood.pcap",
            "600 SYNs in 0.6 s from as many spoofed sources to port 389",
            "flood: one finding for 10.0.0.10, no blocked rows",
            || {
                let mut file = Vec::new();
                flood(&mut file, 600, 1_000_000).unwrap();
                file
            },
        ),
        Capture::scene(
            "busy_service.pcap",
            "60 connections of one client to port 389 in 0.3 s, all completed",
            "tcp/389 open; no flood, no scan",
            |scene| {
                for _ in 0..60 {
                    ldap(scene, &CLIENT, &DC1);
                    scene.wait_ms(3);
                }
            },
        ),
    ],
};

fn ports(scene: &mut Scene, count: u16) {
    at_work(scene);
    for port in 0..count {
        tcp::refused(scene, &CLIENT2, &SERVER, 1000 + port * 7, &SERVER);
        scene.wait_ms(45);
    }
    ending(scene);
}

fn sweep(scene: &mut Scene, count: u8) {
    at_work(scene);
    for nth in 0..count {
        let target = SERVER.neighbour(100 + nth);
        if nth % 3 == 0 {
            tcp::rejected(scene, (&CLIENT2, &target), 445, &GATEWAY, (3, 1));
        } else {
            tcp::dropped(scene, &CLIENT2, &target, 445, &[0]);
        }
        scene.wait_ms(45);
    }
    ending(scene);
}
