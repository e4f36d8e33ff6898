// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.junit.jupiter.api.Test;

/** A driver that has no more than it must. */
class IommuTest {
    private static final IommuDevice DEVICE = proxy(IommuDevice.class, (self, method, arguments) -> null);

    private final AtomicInteger domains = new AtomicInteger();
    private boolean closed;

    private final Iommu iommu = proxy(Iommu.class, (self, method, arguments) -> {
        if (method.isDefault()) {
            return InvocationHandler.invokeDefault(self, method, arguments);
        }
        if (!method.getName().equals("allocate")) {
            return "plain";
        }
        if (closed) {
            throw new IommuException(Errno.ENODEV, "closed");
        }
        domains.incrementAndGet();
        return proxy(IommuDomain.class, (domain, called, given) -> domains.decrementAndGet());
    });

    private static <T> T proxy(Class<T> type, InvocationHandler handler) {
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
    }

    @Test
    void aDriverTakesNoFlagsUnlessItSaysMore() {
        assertThat(iommu.allocate(DomainType.UNMANAGED, DEVICE, Set.of())).isNotNull();
        for (DomainFlag flag : DomainFlag.values()) {
            assertThatThrownBy(() -> iommu.allocate(DomainType.UNMANAGED, DEVICE, EnumSet.of(flag)))
                    .isInstanceOfSatisfying(
                            IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EOPNOTSUPP));
        }
        assertThat(domains).as("domains that are left").hasValue(1);
    }

    @Test
    void ofAClosedDriverNothingElseIsAsked() {
        closed = true;
        assertThatThrownBy(() -> iommu.allocate(DomainType.UNMANAGED, DEVICE, EnumSet.of(DomainFlag.PASID)))
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENODEV));
    }

    @Test
    void aDriverOfPciFunctionsKnowsNoNamedDevice() {
        DeviceId device = new NamedDevice("\\_SB.DMA0");
        assertThat(iommu.probe((NamedDevice) device)).isEqualTo(Optional.empty());
    }
}
