// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Homes.attach;

import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PriCapability;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.tck.Bench;

/** A device with two PASIDs in a domain, that may ask. */
final class Asker {
    static final int PASID = 5;
    static final int OTHER_PASID = 70;

    /** Attached to nothing. */
    static final int NO_DOMAINS_PASID = 71;

    /** PRI status. */
    static final int STOPPED = 1 << 8;

    static final int UNEXPECTED_GROUP = 1 << 1;

    final Bench bench;
    final long page;
    final IommuDomain domain;
    final Endpoint endpoint;
    final Endpoint other;
    final PageRequests requests;
    private final TranslationUnit unit;

    Asker(Bench bench) {
        this.bench = bench;
        page = bench.granule();
        domain = Homes.domain(bench);
        bench.attach(domain, bench.device());
        attach(bench, domain, PASID);
        attach(bench, domain, OTHER_PASID);
        endpoint = with(PASID);
        other = with(OTHER_PASID);
        unit = unitOf(bench);
        requests = bench.device().pageRequests().orElseThrow();
        bench.steps().note("enable()");
        requests.enable();
    }

    Endpoint with(int pasid) {
        Endpoint endpoint =
                bench.machine().endpoint((PciAddress) bench.device().id()).fork();
        endpoint.usePasid(pasid);
        return endpoint;
    }

    long at(int number) {
        return bench.iova() + number * page;
    }

    RequestStatus read(Endpoint who, int number) {
        bench.steps().note("device reads at 0x%x", at(number));
        who.read(at(number), false);
        return who.lastStatus();
    }

    /** Has the device ask for a page. */
    void ask(Endpoint who, int number) {
        assertThat(read(who, number)).isEqualTo(RequestStatus.PAGE_AWAITED);
    }

    List<PageRequestGroup> take() {
        bench.machine().runPending();
        List<PageRequestGroup> groups = requests.take();
        bench.steps().note("take() = %s", groups);
        return groups;
    }

    PageRequestGroup takeOne() {
        List<PageRequestGroup> groups = take();
        assertThat(groups).hasSize(1);
        return groups.get(0);
    }

    void respond(PageRequestGroup group, PageResponse response) {
        bench.steps().note("respond(%s, %s)", group, response);
        requests.respond(group, response);
    }

    /** As of a device that does not keep to its credit. */
    void post(int pasid, int number, int index, boolean last) {
        unit.requestPage(
                endpoint.sourceId(), pasid, at(number), RequestFlags.READ | (last ? RequestFlags.LAST : 0), index);
    }

    private static TranslationUnit unitOf(Bench bench) {
        String name = bench.subject().machine().functions().stream()
                .filter(function -> function.address().equals(bench.device().id()))
                .findFirst()
                .orElseThrow()
                .unit()
                .orElseThrow();
        return bench.machine().unit(name);
    }

    int status() {
        return PriCapability.of(endpoint.config()).orElseThrow().status();
    }

    void assertStopped() {
        assertThat(status() & STOPPED).as("all are answered").isNotZero();
        assertThat(status() & UNEXPECTED_GROUP).as("answers to nothing").isZero();
    }

    /** Asserts that all that the device had asked for was answered: it stops, and asks again when it may. */
    void assertNothingIsOpen() {
        requests.disable();
        assertStopped();
    }

    void assertAnswered(PageRequestGroup group) {
        for (PageResponse response : PageResponse.values()) {
            assertRefused(Errno.EINVAL, () -> requests.respond(group, response));
        }
    }
}
