// SPDX-License-Identifier: Apache-2.0
def consumer = evaluate(new File(basedir, '../../../src/it/consumer.groovy'))
consumer.gets('commons-codec', 'commons-compress', 'commons-io', 'commons-lang3', 'host-audit', 'iommu-amd',
        'iommu-api', 'iommu-core', 'iommu-intel', 'jspecify', 'kvm-x86', 'slf4j-api', 'vfio-core')
consumer.audits { captures -> consumer.onClassPath('com.example.fleet.Agent', captures) }
true
