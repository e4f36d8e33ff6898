// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.Requester;

/**
 * Two domains for PASIDs, and two that the devices' ordinary requests use; in each the same IOVA leads elsewhere.
 */
final class Homes {
    /** Beyond the first table of PASIDs of most formats, so that it takes a frame. */
    static final int FAR = 700;

    final Bench bench;
    final IommuDomain ordinary;
    final IommuDomain second;
    final IommuDomain one;
    final IommuDomain two;
    final long page;

    Homes(Bench bench) {
        this.bench = bench;
        page = bench.granule();
        ordinary = mapped(0);
        second = mapped(1);
        one = mapped(2);
        two = mapped(3);
        bench.attach(ordinary, bench.device());
        bench.attach(second, bench.second());
    }

    /** Makes a domain with four pages of its own, and one that is at another place in each domain. */
    private IommuDomain mapped(int number) {
        IommuDomain domain = domain(bench);
        bench.map(domain, bench.iova(), bench.scratch() + 8L * number * page, page, 4, READ_WRITE);
        bench.map(domain, bench.iova() + (16 + number) * page, bench.scratch() + (8L * number + 5) * page);
        return domain;
    }

    int number(IommuDomain domain) {
        return List.of(ordinary, second, one, two).indexOf(domain);
    }

    Requester with(int pasid) {
        return bench.requester().withPasid(pasid);
    }

    /** Asserts that a requester reaches all of one domain, and nothing of others. */
    void assertIn(IommuDomain domain, Requester who) {
        int number = number(domain);
        for (int i = 0; i < 4; i++) {
            bench.assertReaches(who, bench.iova() + i * page, bench.scratch() + (8 * number + i) * page);
        }
        for (int other = 0; other < 4; other++) {
            long iova = bench.iova() + (16 + other) * page;
            if (other == number) {
                bench.assertReaches(who, iova, bench.scratch() + (8L * number + 5) * page);
            } else {
                bench.assertBlocked(who, iova);
            }
        }
    }

    void assertNowhere(Requester who) {
        for (int i : new int[] {3, 0, 16, 17, 18, 19}) {
            bench.assertBlocked(who, bench.iova() + i * page);
        }
    }

    /** Takes the devices and some PASIDs of the first out of all; a broken unit does not confirm that. */
    void leave(int... tagged) {
        for (IommuDomain domain : List.of(ordinary, second, one, two)) {
            for (int pasid : tagged) {
                Errnos.of(() -> pasids(domain).detach(bench.device(), pasid));
            }
            for (IommuDevice device : List.of(bench.device(), bench.second())) {
                Errnos.of(() -> domain.detach(device));
            }
        }
    }

    void assertOrdinaryGoOn() {
        assertIn(ordinary, bench.requester());
        assertIn(second, bench.secondRequester());
    }

    /** Allocates a domain that devices with PASIDs use. */
    static IommuDomain domain(Bench bench) {
        return bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.PASID));
    }

    static PasidAttachment pasids(IommuDomain domain) {
        return domain.pasidAttachment().orElseThrow();
    }

    /** Attaches a PASID of the first device, which must succeed. */
    static void attach(Bench bench, IommuDomain domain, int pasid) {
        attach(bench, domain, bench.device(), pasid);
    }

    static void attach(Bench bench, IommuDomain domain, IommuDevice device, int pasid) {
        bench.steps().note("attach(%s, PASID %d)", device.id(), pasid);
        assertThat(pasids(domain).attach(device, pasid)).isEqualTo(AttachResult.ATTACHED);
    }

    static void detach(Bench bench, IommuDomain domain, int pasid) {
        bench.steps().note("detach(%s, PASID %d)", bench.device().id(), pasid);
        pasids(domain).detach(bench.device(), pasid);
    }

    static List<Integer> all(IommuDevice device) {
        int most = device.maxPasids();
        assertThat(most).as("PASIDs of %s", device.id()).isGreaterThan(1);
        List<Integer> some = new ArrayList<>();
        for (int pasid : new int[] {1, 2, 3, 63, 64, 65, 511, 512, 513, FAR, most / 2, most - 2, most - 1}) {
            if (pasid > 0 && pasid < most && !some.contains(pasid)) {
                some.add(pasid);
            }
        }
        return some;
    }
}
