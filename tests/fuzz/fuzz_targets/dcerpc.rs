//! DCE/RPC: a stream of PDUs to its end, each body under both layouts as a question to the mapper, its answer, and the
//! bindings of DCOM; the same bytes as a datagram.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::model::transport::Transport;
use portolan::proto::dcerpc;
use portolan::proto::dcerpc::Begins;
use portolan::proto::dcerpc::Body;
use portolan::proto::dcerpc::Datagram;
use portolan::proto::dcerpc::Header;
use portolan::proto::dcom;
use portolan::proto::epm;
use portolan::proto::ndr::Layout;

fuzz_target!(|data: &[u8]| {
    let _ = dcerpc::recognise(Transport::Tcp, data);
    let _ = dcerpc::recognise(Transport::Udp, data);
    let _ = Datagram::read(data);
    let mut rest = data;
    while let Begins::With(header) = Header::read(rest) {
        let end = usize::from(header.frag_length).min(rest.len());
        assert!(end > 0, "every PDU brings a stream further");
        let (pdu, following) = rest.split_at(end);
        rest = following;
        let _ = dcerpc::call_head(&header, pdu);
        let (body, _) = dcerpc::body(&header, pdu);
        match body {
            Body::Offers(offers) => assert!(offers.len() <= dcerpc::OFFERS_MAX),
            Body::Request(call) | Body::Response(call) => {
                assert!(call.stub.len() <= pdu.len());
                stub(call.stub, header.little);
            }
            _ => {}
        }
    }
    // A stub alone, joined from fragments.
    stub(data, true);
});

fn stub(stub: &[u8], little: bool) {
    for wide in [false, true] {
        let layout = Layout { little, wide };
        for operation in [2, 3, 7].into_iter().filter_map(epm::Operation::by_number) {
            let answer = epm::answer(operation, stub, layout);
            assert!(answer.towers.len() <= stub.len(), "a tower takes bytes");
            if let epm::Operation::Map { plain } = operation {
                let _ = epm::question(plain, stub, layout);
            }
        }
        for operation in [dcom::Operation::Resolve, dcom::Operation::Activate, dcom::Operation::Create] {
            let bindings = dcom::bindings(operation, stub, layout);
            assert!(bindings.iter().map(|binding| binding.host.len()).sum::<usize>() <= 4 * stub.len());
        }
    }
}
